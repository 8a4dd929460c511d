"""State of the Rust EVM between transactions: what each one changed, undone as far back as snapshots reach.

pyrevm keeps one journal for the life of its EVM: slots that any transaction read stay warm, and a slot's value at the
start of a transaction is that of its first reading, so from the second transaction on it charges less than Ethereum
does. Here every transaction runs between a checkpoint and its reversal. In this version of revm the reversal removes
from the journal all that was loaded; the changes are read from the journal before, and then written beneath it, into
the database. So each transaction begins cold, over the true state, and its gas is Ethereum's.

pyrevm tells which slots were written only in the journal's printed form, which is read here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

from pyrevm import AccountInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyrevm import EVM

__all__ = ["Account", "Change", "Checkpoint", "State", "read_changes"]

_ACCOUNT = re.compile(r"(0x[0-9a-f]{40}): Account \{ info: AccountInfo \{ balance: (\d+), nonce: (\d+), code_hash: ")
_CODE = re.compile(r"bytecode: 0x([0-9a-f]*), state: (?:Raw|Analysed \{ len: (\d+))")
_STATUS = re.compile(r"status: AccountStatus\(([^)]*)\)")
_SLOT = re.compile(r"(\d+): StorageSlot \{ previous_or_original_value: (\d+), present_value: (\d+) \}")


@dataclass(frozen=True, slots=True)
class Account:
    """An account but for its storage.

    Attributes
    ----------
    nonce : int
        Number of transactions it sent, or of contracts it created.
    balance_wei : int
        Native currency [wei].
    code : bytes
        Of a contract; else empty.
    """

    nonce: int = 0
    balance_wei: int = 0
    code: bytes = b""


_NO_ACCOUNT = Account()


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction did to one account.

    Attributes
    ----------
    address : str
        The account, as it is printed by the journal: lower case.
    account : Account
        What became of it.
    slots : dict of int to (int, int)
        Value before and after of each storage slot that changed.
    """

    address: str
    account: Account
    slots: dict[int, tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Checkpoint:
    """A place in the history of a state; as long as it is kept, the state can return to it.

    Attributes
    ----------
    position : int
        How many writes came before.
    """

    position: int


class State:
    """Accounts and storage in the database of a Rust EVM.

    Parameters
    ----------
    evm : pyrevm.EVM
        With nothing in it yet.
    """

    def __init__(self, evm: EVM) -> None:
        self._evm = evm
        self._accounts: dict[str, Account] = {}
        self._undo: list[tuple[str, int, int] | tuple[str, Account]] = []
        self._undone_before = 0
        self._checkpoints: WeakSet[Checkpoint] = WeakSet()

    def account(self, address: str) -> Account:
        """Return an account; one that nobody touched is empty."""
        return self._accounts.get(address.lower(), _NO_ACCOUNT)

    def put(self, address: str, account: Account) -> None:
        """Write an account."""
        address = address.lower()
        self._undo.append((address, self.account(address)))
        self._write_account(address, account)

    def apply(self, changes: list[Change]) -> None:
        """Write what a transaction changed, and forget what no checkpoint can ask for."""
        for change in changes:
            if change.account != self.account(change.address):
                self.put(change.address, change.account)
            for slot, (before, after) in change.slots.items():
                self._undo.append((change.address, slot, before))
                self._write_slot(change.address, slot, after)

    def checkpoint(self) -> Checkpoint:
        """Return a token of the present state."""
        found = Checkpoint(self._undone_before + len(self._undo))
        self._checkpoints.add(found)
        return found

    def forget(self) -> None:
        """Drop the history before the oldest checkpoint that somebody still keeps."""
        now = self._undone_before + len(self._undo)
        oldest = min((kept.position for kept in self._checkpoints), default=now)
        del self._undo[: oldest - self._undone_before]
        self._undone_before = oldest

    def undo_to(self, checkpoint: Checkpoint) -> None:
        """Return to the state of `checkpoint`; later checkpoints are of a future that is no more."""
        for later in [kept for kept in self._checkpoints if kept.position > checkpoint.position]:
            self._checkpoints.discard(later)
        while self._undone_before + len(self._undo) > checkpoint.position:
            entry = self._undo.pop()
            if len(entry) == 2:
                self._write_account(*entry)
            else:
                self._write_slot(*entry)

    def knows(self, checkpoint: object) -> bool:
        """Return whether a token is of this state and not of a future that was undone."""
        return isinstance(checkpoint, Checkpoint) and checkpoint in self._checkpoints

    def _write_slot(self, address: str, slot: int, value: int) -> None:
        """Write into the database; pyrevm does so only while the journal does not hold the account, and loads it."""
        checkpoint = self._evm.snapshot()
        self._evm.insert_account_storage(address, slot, value)
        self._evm.revert(checkpoint)

    def _write_account(self, address: str, account: Account) -> None:
        self._accounts[address] = account
        code = account.code or None
        info = AccountInfo(balance=account.balance_wei, nonce=account.nonce, code=code)  # type: ignore[call-arg]
        self._evm.insert_account_info(address, info)


def read_changes(journal: str, known: Callable[[str], Account]) -> list[Change]:
    """Return what a transaction changed, from the printed journal in which nothing else stands.

    Parameters
    ----------
    journal : str
        As pyrevm prints it.
    known : callable
        Account before the transaction, of an address.
    """
    end = journal.index("}, transient_storage: ")
    changes, at = [], 0
    while (head := _ACCOUNT.search(journal, at, end)) is not None:
        address, balance, nonce = head.groups()
        storage = journal.index("storage: {", head.end())
        status = _STATUS.search(journal, storage)
        assert status is not None  # revm prints one for each account
        at = status.end()
        if "SelfDestructed" in status[1]:  # only in the transaction that created it, since Cancun: nothing is left
            changes.append(Change(address, _NO_ACCOUNT, {}))
        elif "Touched" in status[1]:
            code = _code(journal, head.end(), storage) if "Created" in status[1] else known(address).code
            slots = {
                int(slot): (int(before), int(after))
                for slot, before, after in _SLOT.findall(journal, storage, status.start())
                if before != after
            }
            changes.append(Change(address, Account(int(nonce), int(balance), code), slots))
    return changes


def _code(journal: str, start: int, end: int) -> bytes:
    """Return the code between two places in the journal, without the zeros that revm's analysis appends."""
    found = _CODE.search(journal, start, end)
    if found is None:
        return b""
    code = bytes.fromhex(found[1])
    if found[2] is not None:
        code = code[: int(found[2])]
    return b"" if code == b"\0" else code
