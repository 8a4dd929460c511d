"""Pictures of a run, and its report: what the tables say, drawn for somebody who was not there.

Each figure is one function from a run's tables to a matplotlib ``Figure``, made through the object-oriented API on the
Agg canvas: no pyplot and no registry of open figures, so that a user's own plots stay as they are. The report is
one HTML file without external resources. Turned down: interactive plots (megabytes of JavaScript in every report, and
no print). It follows that a figure can be tested by what it draws, and is the same bytes on every run.
"""

__all__ = [
    "accuracy",
    "captions",
    "energy",
    "forecasts",
    "gallery",
    "grid",
    "headline",
    "heat_map",
    "money",
    "pricing",
    "provenance",
    "report",
    "series",
    "settlement",
    "style",
    "trading",
    "trials",
]
