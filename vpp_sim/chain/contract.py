"""A contract's ABI in use: encode calls, decode answers, events and the errors that a contract reverted with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import abi_to_signature, collapse_if_tuple
from eth_utils.crypto import keccak

from vpp_sim.chain.protocol import CallRevertedError, Transaction
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vpp_sim.chain.protocol import Chain, Log, Receipt

__all__ = ["Abi", "Artifact", "Contract", "Event", "RevertedError", "load_artifact"]

_SELECTOR_BYTES = 4
_BUILT_IN_ERRORS = (
    {"type": "error", "name": "Error", "inputs": [{"name": "reason", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)


class RevertedError(ChainError):
    """A transaction or call that a contract refused.

    Parameters
    ----------
    action : str
        What was tried.
    error : str
        Name of the contract's error, for example ``"SettlementInsufficientBalance"``.
    arguments : mapping of str to object
        The error's arguments by name.
    """

    def __init__(self, action: str, error: str, arguments: Mapping[str, Any]) -> None:
        self.action, self.error, self.arguments = action, error, dict(arguments)
        super().__init__(self.action, self.error, self.arguments)

    def __str__(self) -> str:
        """Return the message."""
        shown = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.action} reverted: {self.error}({shown})"


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event.

    Attributes
    ----------
    name : str
        For example ``"PeriodSettled"``.
    arguments : dict of str to object
        Its arguments by name, in the order of the ABI.
    """

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _EventKind:
    """What an event's topics and data hold, by name and type."""

    name: str
    order: tuple[str, ...]
    indexed: tuple[str, ...]
    indexed_types: list[str]
    plain: tuple[str, ...]
    plain_types: list[str]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> _EventKind:
        indexed = [item for item in entry["inputs"] if item["indexed"]]
        plain = [item for item in entry["inputs"] if not item["indexed"]]
        return cls(
            entry["name"],
            tuple(item["name"] for item in entry["inputs"]),
            tuple(item["name"] for item in indexed),
            _types(indexed),
            tuple(item["name"] for item in plain),
            _types(plain),
        )


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract.

    Attributes
    ----------
    name : str
        Name of the contract.
    compiler : str
        Name and version of the compiler.
    abi : tuple of dict
        The JSON ABI.
    bytecode : bytes
        Creation code.
    sources_sha256 : mapping of str to str
        SHA-256 of every source file that the compiler read, by path.
    """

    name: str
    compiler: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    sources_sha256: Mapping[str, str]


@cache
def load_artifact(name: str) -> Artifact:
    """Return the artifact that ships for contract `name`.

    Raises
    ------
    ChainError
        If no such artifact ships.

    Examples
    --------
    >>> load_artifact("SettlementCurrency").compiler
    'solc 0.8.37...'
    """
    path = files("vpp_sim.chain") / "artifacts" / f"{name}.json"
    if not path.is_file():
        raise ChainError(f"no artifact of contract {name!r}")
    found = json.loads(path.read_text(encoding="utf-8"))
    return Artifact(
        name=found["contract"],
        compiler=found["compiler"],
        abi=tuple(found["abi"]),
        bytecode=bytes.fromhex(found["bytecode"].removeprefix("0x")),
        sources_sha256=found["sources_sha256"],
    )


class Abi:
    """Encoder and decoder of one contract's interface.

    Parameters
    ----------
    entries : iterable of dict
        JSON ABI of the contract.
    callees : iterable of JSON ABIs
        Of the contracts that this one calls, so that their errors are named too.

    Examples
    --------
    >>> abi = Abi(load_artifact("SettlementCurrency").abi)
    >>> abi.encode("decimals").hex()
    '313ce567'
    """

    def __init__(
        self, entries: Iterable[Mapping[str, Any]], *, callees: Iterable[Iterable[Mapping[str, Any]]] = ()
    ) -> None:
        entries = tuple(entries)
        self._functions = {entry["name"]: entry for entry in entries if entry["type"] == "function"}
        self._takes = {name: _types(entry["inputs"]) for name, entry in self._functions.items()}
        self._gives = {name: _types(entry["outputs"]) for name, entry in self._functions.items()}
        self._selectors = {name: _hash(entry)[:_SELECTOR_BYTES] for name, entry in self._functions.items()}
        self._events = {_hash(entry): _EventKind.of(entry) for entry in entries if entry["type"] == "event"}
        known = chain(_BUILT_IN_ERRORS, *callees, entries)
        self._errors = {_hash(entry)[:_SELECTOR_BYTES]: entry for entry in known if entry["type"] == "error"}
        self._constructor: list[Any] = next(
            (entry["inputs"] for entry in entries if entry["type"] == "constructor"), []
        )

    def encode(self, function: str, *arguments: object) -> bytes:
        """Return the call data of a function.

        Raises
        ------
        ChainError
            If the contract has no such function.
        """
        return self._selectors[self._known(function)] + encode(self._takes[function], arguments)

    def encode_constructor(self, *arguments: object) -> bytes:
        """Return the constructor's arguments, to append to the creation code."""
        return encode(_types(self._constructor), arguments)

    def decode(self, function: str, data: bytes) -> Any:
        """Return what a function answered: one value, or a tuple of several."""
        values = decode(self._gives[self._known(function)], data)
        return values[0] if len(values) == 1 else values

    def decode_event(self, log: Log) -> Event | None:
        """Return the event that `log` stores, or None if the ABI does not know it."""
        kind = self._events.get(log.topics[0]) if log.topics else None
        if kind is None:
            return None
        # A value that is indexed stands in one topic, as it would stand in the data.
        found = dict(zip(kind.indexed, decode(kind.indexed_types, b"".join(log.topics[1:])), strict=True))
        found |= zip(kind.plain, decode(kind.plain_types, log.data), strict=True)
        return Event(kind.name, {name: found[name] for name in kind.order})

    def reverted(self, action: str, data: bytes) -> RevertedError:
        """Return the error that `data` stands for, with its name and arguments.

        Data that no known error explains gives the name ``"unknown error"``, and no data at all ``"no reason given"``
        (out of gas, or a contract that is not there).
        """
        if not data:
            return RevertedError(action, "no reason given", {})
        entry = self._errors.get(data[:_SELECTOR_BYTES])
        if entry is None:
            return RevertedError(action, "unknown error", {"data": f"0x{data.hex()}"})
        try:
            values = decode(_types(entry["inputs"]), data[_SELECTOR_BYTES:])
        except DecodingError:
            return RevertedError(action, entry["name"], {"data": f"0x{data.hex()}"})
        return RevertedError(
            action, entry["name"], {item["name"]: value for item, value in zip(entry["inputs"], values, strict=True)}
        )

    def _known(self, function: str) -> str:
        if function not in self._functions:
            raise ChainError(f"contract has no function {function!r}; it has {', '.join(sorted(self._functions))}")
        return function


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract at its address.

    Attributes
    ----------
    chain : Chain
        Where it lives.
    address : str
        Its address.
    abi : Abi
        Its interface.
    """

    chain: Chain
    address: str
    abi: Abi

    def call(self, function: str, *arguments: object) -> Any:
        """Return what a read-only function answers in the state of the newest block.

        Raises
        ------
        RevertedError
            If the contract reverts, with the name of its error.
        """
        try:
            answer = self.chain.call(self.address, self.abi.encode(function, *arguments))
        except CallRevertedError as error:
            raise self.abi.reverted(f"call of {function}", error.data) from error
        return self.abi.decode(function, answer)

    def submit(self, sender: str, gas_limit: int, function: str, *arguments: object) -> str:
        """Queue a call that changes state, and return the transaction's hash."""
        return self.chain.submit(Transaction(sender, self.address, self.abi.encode(function, *arguments), gas_limit))

    def events(self, receipt: Receipt) -> tuple[Event, ...]:
        """Return the events of `receipt` that this contract emitted, in order."""
        decoded = (self.abi.decode_event(log) for log in receipt.logs if log.address == self.address)
        return tuple(event for event in decoded if event is not None)


def _hash(entry: Mapping[str, Any]) -> bytes:
    return bytes(keccak(text=abi_to_signature(dict(entry))))  # type: ignore[arg-type]


def _types(items: Iterable[Mapping[str, Any]]) -> list[str]:
    return [collapse_if_tuple(dict(item)) for item in items]
