"""Check of a finished run's chain: its recorded blocks are replayed, and batches, roots and balances proven again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vpp_sim.chain.proofs import Booked, prove
from vpp_sim.chain.record import BlockRow, ChainRecord, EventRow, TransactionRow, rows_from
from vpp_sim.chain.replay import Difference, replay
from vpp_sim.chain.statements import TRADE_LINE
from vpp_sim.errors import DataError, UserError
from vpp_sim.units import to_micro_eur, to_wh

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.proofs import Proven
    from vpp_sim.chain.replay import Replay
    from vpp_sim.runs.folder import RunFolder

__all__ = ["CHAIN_RECORD", "ChainCheck", "check_chain"]

CHAIN_RECORD = "chain.json"
"""File of a run's folder with what a replay must know beside the tables."""


@dataclass(frozen=True, slots=True, eq=False)
class ChainCheck:
    """What was found.

    Attributes
    ----------
    record : ChainRecord
        What the run says of its chain.
    replayed : Replay
        The chain, played once more.
    proven : Proven or None
        What was proven; None if the replay did not come to the end.
    listed : tuple of Difference
        Periods of the table ``chain`` whose last transaction is not in the block that it says.
    """

    record: ChainRecord
    replayed: Replay
    proven: Proven | None
    listed: tuple[Difference, ...] = ()

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All differences, those of the replay first."""
        return (*self.replayed.differences, *(self.proven.differences if self.proven else ()), *self.listed)

    @property
    def verified(self) -> bool:
        """Whether everything was replayed and proven, and nothing differs."""
        return self.proven is not None and not self.differences


def check_chain(folder: RunFolder, *, backend: str | None = None) -> ChainCheck:
    """Replay the chain of a run and prove it against its ledger.

    Parameters
    ----------
    folder : RunFolder
        A finished run.
    backend : str, optional
        Chain backend to replay on; by default that of the run. Block hashes are compared on that alone.

    Raises
    ------
    UserError
        If the run has no chain, or it was on a node and shall be replayed on another backend than revm.
    DataError
        If a file of it is missing or cannot be read.
    """
    record = _record(folder)
    if record.backend == "rpc" and backend not in (None, "revm"):
        raise UserError(f"this run was on a node, and is replayed on revm alone, not on {backend}")
    transactions = rows_from(TransactionRow, _columns(folder.table("transactions")))
    replayed = replay(
        record,
        rows_from(BlockRow, _columns(folder.table("blocks"))),
        transactions,
        rows_from(EventRow, _columns(folder.table("events"))),
        backend=backend,
    )
    proven = prove(replayed, record, _booked(folder, record)) if replayed.complete else None
    return ChainCheck(record, replayed, proven, _listed(folder.table("chain"), transactions))


def _record(folder: RunFolder) -> ChainRecord:
    path = folder.path / CHAIN_RECORD
    if not path.is_file():
        raise UserError(f"{folder.path}: this run has no chain to verify (it has no {CHAIN_RECORD})")
    try:
        return ChainRecord.from_json(path.read_text(encoding="utf-8"))
    except (OSError, DataError) as error:
        raise DataError(f"{path}: {error}") from error


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): frame[name].tolist() for name in frame.columns}


def _listed(periods: pd.DataFrame, transactions: Iterable[TransactionRow]) -> tuple[Difference, ...]:
    """Look up the last transaction of each period in the table of periods."""
    blocks = {row.hash: row.block for row in transactions if row.canonical}
    return tuple(
        Difference(f"period {period}", f"the block of its transaction {tx_hash}", str(blocks.get(tx_hash)), str(block))
        for period, tx_hash, block in zip(periods["period"], periods["tx_hash"], periods["block"], strict=True)
        if blocks.get(tx_hash) != block
    )


def _booked(folder: RunFolder, record: ChainRecord) -> Booked:
    ledger, trades = folder.table("ledger"), folder.table("trades")
    lines = np.empty(len(trades), dtype=TRADE_LINE)
    lines["buyer"] = _accounts(trades["buyer"], record)
    lines["seller"] = _accounts(trades["seller"], record)
    lines["energy_wh"] = to_wh(trades["delivered_kwh"].to_numpy(np.float64))
    lines["price_micro_eur_per_kwh"] = to_micro_eur(trades["price_eur_per_kwh"].to_numpy(np.float64))
    return Booked(
        step=ledger["step"].to_numpy(np.int64),
        account=_accounts(ledger["account"], record),
        amount_micro_eur=ledger["amount_micro_eur"].to_numpy(np.int64),
        trade_step=trades["step"].to_numpy(np.int64),
        trades=lines,
        agreed_wh=to_wh(trades["energy_kwh"].to_numpy(np.float64)),
    )


def _accounts(names: pd.Series, record: ChainRecord) -> IntArray:
    """Return the number of each account."""
    place = {name: i for i, name in enumerate(record.names)}
    unknown = sorted({str(name) for name in names.unique()} - set(place))
    if unknown:
        raise DataError(f"the ledger names accounts that the chain does not know: {', '.join(unknown)}")
    return np.array([place[name] for name in names.astype(str)], dtype=np.int64)
