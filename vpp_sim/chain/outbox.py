"""The outbox: what is to be paid and what was sent for it, written down before anything leaves.

It is an SQLite file (or a nameless one that ends with the process, for a chain that does so too). A statement is
written before its first transaction exists, a transaction's nonce and signed bytes before they are sent: whoever is cut
off at any moment finds here all that may have reached the chain, and sends the very same bytes again. Nothing in it is
a secret; signed transactions are public as soon as they are sent.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.chain.outbox_items import Attempt, ConfirmedJob, OpenJob
from vpp_sim.chain.protocol import Transaction
from vpp_sim.chain.statements import Job, Opening, Statement
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.protocol import Receipt

__all__ = ["Outbox"]

_VERSION = 2
"""Of the tables; a file of another version is refused."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS statements (
    period INTEGER PRIMARY KEY, submitted_s INTEGER NOT NULL, content BLOB NOT NULL,
    begun INTEGER NOT NULL DEFAULT 0, settled INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS jobs (
    place INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, follows TEXT, period INTEGER NOT NULL, sender TEXT NOT NULL,
    target TEXT, data BLOB NOT NULL, gas_limit INTEGER NOT NULL, ready_s INTEGER NOT NULL, effect BLOB NOT NULL,
    last INTEGER NOT NULL, expires_s INTEGER, failed INTEGER NOT NULL DEFAULT 0,
    mined TEXT, block INTEGER, mined_s INTEGER, gas_used INTEGER, gas_price_wei TEXT,
    buried INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS attempts (
    place INTEGER PRIMARY KEY, key TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, sender TEXT NOT NULL,
    nonce INTEGER NOT NULL, raw BLOB NOT NULL, max_fee_wei TEXT NOT NULL, priority_fee_wei TEXT NOT NULL,
    sent_s INTEGER NOT NULL, given_up INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_of_period ON jobs (period);
CREATE INDEX IF NOT EXISTS attempts_of_job ON attempts (key);
CREATE INDEX IF NOT EXISTS attempts_of_sender ON attempts (sender, nonce);
CREATE INDEX IF NOT EXISTS open_jobs ON jobs (buried) WHERE buried = 0;
"""


class Outbox:
    """Statements, jobs and attempts, in a file that lasts or in one that ends with the process.

    Parameters
    ----------
    path : Path or None
        The SQLite file, made if it is not there; None is a nameless one, kept in memory while it is small.

    Raises
    ------
    ChainError
        If the file cannot be opened, or is no outbox.
    """

    def __init__(self, path: Path | None = None) -> None:
        try:
            self._database = sqlite3.connect("" if path is None else path, isolation_level=None)
            if path is not None:
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")  # what is said to be written survives a power cut
            self._require_version(path)
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ChainError(f"cannot open outbox {path}: {error}") from error
        self._inside = False

    def _require_version(self, path: Path | None) -> None:
        """Raise if the file was written by another version of the program, and else say that it is of this one."""
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        tables = self._database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if tables and version != _VERSION:
            raise ChainError(f"outbox {path} is of version {version}, not {_VERSION}")
        self._database.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def writing(self) -> Generator[None]:
        """Write all that is written inside together, or nothing of it."""
        if self._inside:
            yield
            return
        self._inside = True
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        else:
            self._database.execute("COMMIT")
        finally:
            self._inside = False

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # -- facts

    def fact(self, name: str) -> object:
        """Return what was remembered under `name`, or None."""
        row = self._database.execute("SELECT content FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, name: str, content: object) -> None:
        """Remember something that JSON can hold."""
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(content)))

    # -- statements

    def add_statement(self, statement: Statement, now_s: int) -> bool:
        """Write a statement down, and return whether it is new.

        Raises
        ------
        ChainError
            If another statement of its period is there.
        """
        content = statement.to_bytes()
        known = self._database.execute(
            "SELECT content FROM statements WHERE period = ?", (statement.period,)
        ).fetchone()
        if known is None:
            self._database.execute(
                "INSERT INTO statements (period, submitted_s, content) VALUES (?, ?, ?)",
                (statement.period, now_s, content),
            )
        elif known[0] != content:
            raise ChainError(f"period {statement.period} was submitted before, with other amounts")
        return known is None

    def statement(self, period: int) -> Statement:
        """Return the statement of a period that was added."""
        row = self._database.execute("SELECT content FROM statements WHERE period = ?", (period,)).fetchone()
        if row is None:
            raise ChainError(f"no statement of period {period} in the outbox")
        return Statement.from_bytes(row[0])

    def statements(self) -> Generator[tuple[Statement, bool]]:
        """Yield every statement, and whether its period is settled."""
        for content, settled in self._database.execute("SELECT content, settled FROM statements ORDER BY period"):
            yield Statement.from_bytes(content), bool(settled)

    def mark_settled(self, period: int, settled: bool) -> None:
        """Note whether all transactions of a period are confirmed."""
        self._database.execute("UPDATE statements SET settled = ? WHERE period = ?", (settled, period))

    def mark_begun(self, period: int) -> None:
        """Note that the transactions which pay a statement are there."""
        self._database.execute("UPDATE statements SET begun = 1 WHERE period = ?", (period,))

    def to_begin(self) -> list[int]:
        """Return the periods that were submitted and of which nothing is being paid yet."""
        return [period for (period,) in self._database.execute("SELECT period FROM statements WHERE begun = 0")]

    def has_begun(self, period: int) -> bool:
        """Return whether a period was submitted and is being paid, or was."""
        found = self._database.execute("SELECT 1 FROM statements WHERE period = ? AND begun", (period,))
        return found.fetchone() is not None

    def has_statement(self, period: int) -> bool:
        """Return whether a period was submitted."""
        return self._database.execute("SELECT 1 FROM statements WHERE period = ?", (period,)).fetchone() is not None

    def periods_not_settled(self) -> list[int]:
        """Return the periods that have jobs, and are not settled or not even submitted."""
        found = self._database.execute(
            "SELECT DISTINCT period FROM jobs WHERE period NOT IN (SELECT period FROM statements WHERE settled)"
        )
        return [period for (period,) in found]

    def submitted_s(self, period: int) -> int:
        """Return when a period's statement was added [s]."""
        row = self._database.execute("SELECT submitted_s FROM statements WHERE period = ?", (period,)).fetchone()
        return int(row[0])

    # -- jobs and attempts

    def add_jobs(self, jobs: Iterable[Job], follows: str | None) -> list[OpenJob]:
        """Write jobs down and return those whose keys are new."""
        added = []
        for job in jobs:
            done = self._database.execute(
                "INSERT OR IGNORE INTO jobs"
                " (key, follows, period, sender, target, data, gas_limit, ready_s, effect, last, expires_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.key,
                    follows,
                    job.period,
                    job.transaction.sender,
                    job.transaction.to,
                    job.transaction.data,
                    job.transaction.gas_limit,
                    job.ready_s,
                    job.effect_micro_eur.astype("<i8").tobytes(),
                    job.last,
                    job.expires_s,
                ),
            )
            if done.rowcount:
                added.append(OpenJob(job, follows))
        return added

    def remove_job(self, key: str) -> None:
        """Forget a job of which nothing was ever sent."""
        self._database.execute("DELETE FROM jobs WHERE key = ?", (key,))

    def add_attempt(self, key: str, signed: SignedTransaction, now_s: int) -> Attempt:
        """Write down what is about to be sent."""
        attempt = Attempt(signed.hash, signed.nonce, signed.raw, signed.max_fee_wei, signed.priority_fee_wei, now_s)
        self._database.execute(
            "INSERT INTO attempts (key, hash, sender, nonce, raw, max_fee_wei, priority_fee_wei, sent_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                attempt.hash,
                signed.sender,
                attempt.nonce,
                attempt.raw,
                str(attempt.max_fee_wei),
                str(attempt.priority_fee_wei),
                now_s,
            ),
        )
        return attempt

    def give_up_attempts(self, key: str) -> None:
        """Note that the attempts of a job were spent on a transaction that did nothing; the next has a new nonce."""
        self._database.execute("UPDATE attempts SET given_up = 1 WHERE key = ?", (key,))

    def confirm(self, key: str, receipt: Receipt) -> None:
        """Write down that a job is done with, by which transaction, whether that failed, and what it cost."""
        self._database.execute(
            "UPDATE jobs SET failed = ?, mined = ?, block = ?, mined_s = ?, gas_used = ?, gas_price_wei = ?"
            " WHERE key = ?",
            (
                not receipt.succeeded,
                receipt.transaction,
                receipt.block_number,
                receipt.timestamp_s,
                receipt.gas_used,
                str(receipt.gas_price_wei),
                key,
            ),
        )

    def undo(self, key: str) -> None:
        """Write down that a confirmed job is not confirmed any more."""
        self._database.execute("UPDATE jobs SET mined = NULL, block = NULL, failed = 0 WHERE key = ?", (key,))

    def drop(self, key: str) -> None:
        """Write down that a job expired before anything was sent for it."""
        self._database.execute("UPDATE jobs SET failed = 1, buried = 1 WHERE key = ?", (key,))

    def bury(self, key: str) -> None:
        """Write down that a confirmed job will never be looked at again."""
        self._database.execute("UPDATE jobs SET buried = 1 WHERE key = ?", (key,))

    def openings(self, period: int) -> list[Opening] | None:
        """Return the jobs of a period that might fail and what they did, or None while that is open for one.

        Once the period is being paid it is open for none: what had not opened until then came too late for ever, also
        where a reorganisation undid its failure.
        """
        rows = self._database.execute(
            "SELECT key, data, failed, mined FROM jobs WHERE period = ? AND expires_s IS NOT NULL ORDER BY place",
            (period,),
        ).fetchall()
        if any(mined is None and not failed for _, _, failed, mined in rows) and not self.has_begun(period):
            return None
        return [Opening(key, data, mined is not None and not failed) for key, data, failed, mined in rows]

    def confirmed_jobs(self, period: int) -> list[ConfirmedJob]:
        """Return what the confirmed transactions of a period were and cost, in their order."""
        rows = self._database.execute(
            "SELECT key, mined, block, mined_s, gas_used, gas_price_wei, length(data), (SELECT COUNT(*) FROM attempts"
            " WHERE attempts.key = jobs.key) FROM jobs WHERE period = ? AND mined IS NOT NULL ORDER BY place",
            (period,),
        )
        return [
            ConfirmedJob(key, transaction, block, mined_s, gas, int(price_wei), size, attempts)
            for key, transaction, block, mined_s, gas, price_wei, size, attempts in rows
        ]

    def next_nonce(self, sender: str) -> int:
        """Return the nonce after the highest that was ever used for a sender here, or 0."""
        row = self._database.execute("SELECT MAX(nonce) FROM attempts WHERE sender = ?", (sender,)).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def open_jobs(self) -> list[OpenJob]:
        """Return all jobs that are not buried, in the order in which they came."""
        rows = self._database.execute(
            "SELECT key, follows, period, sender, target, data, gas_limit, ready_s, effect, last, expires_s, failed,"
            " mined, block, mined_s FROM jobs WHERE buried = 0 ORDER BY place"
        ).fetchall()
        return [self._open_job(row) for row in rows]

    def confirmed_micro_eur(self, accounts: int, period: int | None = None) -> IntArray:
        """Return what the confirmed jobs of a period, or of all, have moved, shape (accounts,) [micro-euro]."""
        return self._moved(accounts, "mined IS NOT NULL", period)

    def promised_micro_eur(self, accounts: int, period: int) -> IntArray:
        """Return what the trades of a period lock that are open or may become so, shape (accounts,) [micro-euro]."""
        return self._moved(accounts, "expires_s IS NOT NULL", period)

    def _moved(self, accounts: int, which: str, period: int | None) -> IntArray:
        moved = np.zeros(accounts, dtype=np.int64)
        query = f"SELECT effect FROM jobs WHERE NOT failed AND {which}"
        query, of = (query, ()) if period is None else (f"{query} AND period = ?", (period,))
        for (effect,) in self._database.execute(query, of):
            moved += np.frombuffer(effect, dtype="<i8")
        return moved

    def _open_job(self, row: tuple) -> OpenJob:  # type: ignore[type-arg]
        key, follows, period, sender, target, data, gas_limit, ready_s, effect, last, expires_s, failed, *where = row
        transaction, effect = Transaction(sender, target, data, gas_limit), np.frombuffer(effect, dtype="<i8")
        job = Job(key, period, transaction, ready_s, effect, bool(last), expires_s)
        attempts = [
            Attempt(transaction, nonce, raw, int(max_fee_wei), int(priority_fee_wei), sent_s)
            for transaction, nonce, raw, max_fee_wei, priority_fee_wei, sent_s in self._database.execute(
                "SELECT hash, nonce, raw, max_fee_wei, priority_fee_wei, sent_s FROM attempts"
                " WHERE key = ? AND given_up = 0 ORDER BY place",
                (key,),
            )
        ]
        mined, block, mined_s = where
        return OpenJob(job, follows, attempts, mined, block or 0, mined_s or 0, mined is not None, bool(failed))
