"""``chain``: the settlement chain of a finished run, checked again."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from vpp_sim.cli.console import print_table
from vpp_sim.cli.options import RESULTS, Results
from vpp_sim.cli.runs import Run, open_catalogue
from vpp_sim.errors import UserError

if TYPE_CHECKING:
    from vpp_sim.runs.chain_check import ChainCheck

__all__ = ["chain_app"]

_FAILED = 1
_MOST_LINES = 20
_BACKENDS = ("revm", "eth_tester")

chain_app = typer.Typer(name="chain", help="Check the settlement chain of a run.", rich_markup_mode=None)


@chain_app.callback()
def _group() -> None:
    """Check the settlement chain of a run."""


@chain_app.command("verify")
def verify(
    run: Run,
    results: Results = RESULTS,
    backend: Annotated[
        str | None,
        typer.Option("--backend", metavar="NAME", help="Replay on revm or eth_tester, whatever the run was on."),
    ] = None,
) -> None:
    """Replay a finished run's blocks and prove its balances and Merkle roots again; exit 1 if anything differs."""
    from vpp_sim.runs.chain_check import check_chain
    from vpp_sim.runs.folder import RunFolder

    if backend not in (None, *_BACKENDS):
        raise UserError(f"--backend {backend}: expected {' or '.join(_BACKENDS)}")
    begun = perf_counter()
    folder = RunFolder.open(open_catalogue(results).find(run).path)
    found = check_chain(folder, backend=backend)
    print_table(("checked", "number"), _rows(found, perf_counter() - begun), text_columns=("checked",))
    for difference in found.differences[:_MOST_LINES]:
        typer.echo(difference)
    if len(found.differences) > _MOST_LINES:
        typer.echo(f"and {len(found.differences) - _MOST_LINES} more differences")
    if found.proven is None:
        typer.echo("the replay did not come to the end, so nothing is proven against the ledger")
    if not found.verified:
        raise typer.Exit(_FAILED)
    typer.echo("verified" if found.replayed.same_evm else "verified (block hashes are not comparable on this backend)")


def _rows(found: ChainCheck, seconds: float) -> list[tuple[str, str]]:
    replayed, proven = found.replayed, found.proven
    rows: list[tuple[str, object]] = [
        ("blocks replayed", replayed.blocks),
        ("transactions", replayed.transactions),
        ("events", replayed.events),
        ("gas", replayed.gas_used),
    ]
    if proven is not None:
        rows += [
            ("netted periods proven", proven.netted),
            ("Merkle roots proven", proven.proof),
            ("trades under them", proven.trades),
            ("direct trades proven", proven.direct),
            ("accounts reconciled", f"{proven.accounts} of {len(found.record.names)}"),
        ]
    return [(what, str(number)) for what, number in (*rows, ("seconds", f"{seconds:.1f}"))]
