"""Figures and reports of a run: those in its folder, or made when they are not there."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING

from vpp_sim.errors import UnknownNameError
from vpp_sim.figures.gallery import FIGURES, plot
from vpp_sim.figures.report import write_report

if TYPE_CHECKING:
    from vpp_sim.runs.folder import RunFolder

__all__ = ["figure_png", "report_html"]

_PNG_END, _HTML_END = b"IEND\xaeB`\x82", b"</html>"
_WRITING = Lock()


def figure_png(folder: RunFolder, name: str) -> bytes:
    """Return one figure as PNG.

    Raises
    ------
    UnknownNameError
        If there is no such figure.
    """
    if name not in FIGURES:
        raise UnknownNameError("figure", name, FIGURES)
    kept = _whole(folder.path / "figures" / f"{name}.png", _PNG_END)
    if kept is not None:
        return kept
    with TemporaryDirectory() as scratch:
        return plot(folder.data(), name, Path(scratch) / f"{name}.png").read_bytes()


def report_html(folder: RunFolder) -> bytes:
    """Return the report; if it is missing it is written into the run's folder."""
    with _WRITING:
        return _whole(folder.path / "report.html", _HTML_END) or write_report(folder).read_bytes()


def _whole(path: Path, end: bytes) -> bytes | None:
    """Return what the file holds, or None if it is missing or somebody is still writing it."""
    content = path.read_bytes() if path.is_file() else b""
    return content if content.rstrip().endswith(end) else None
