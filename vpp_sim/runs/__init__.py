"""Numbers out: the tables of a run, its folder, manifest, KPIs, bills, and the catalogue of runs.

A run is a folder of plain files that any analyst can open: Parquet tables whose columns carry unit and description,
JSON, and the resolved YAML. Everything computed here (KPIs, bills) is a pure function of those tables, so a number in a
report can be recomputed from the files alone. Turned down: one database for all results (a folder can be copied, and
recording into SQLite costs other simulators a factor of three), and KPIs accumulated during the run (they could not be
checked afterwards). It follows that nothing here knows the event loop, the agents or the scenario.
"""

__all__ = ["bills", "catalogue", "chain_check", "folder", "frames", "kpis", "manifest", "measures", "summary", "tables"]
