"""A deployed energy market with its people, what they sign, and the trees that a root stands for."""

import json
import os
from pathlib import Path

from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from vpp_sim.chain.contract import Abi, Artifact, Contract, RevertedError, load_artifact
from vpp_sim.chain.deployment import mine_all
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.protocol import Transaction
from vpp_sim.chain.wallet import development_key

GENESIS_S, PERIOD_S, WINDOW_S = 1_500_000_000, 3_600, 7_200
MINIMUM_BOND, AWARD = 1_000_000, 1_000
START_MICRO_EUR, LIMIT_MICRO_EUR = 10_000_000, 4_000_000
SEED = 7
DEPLOY_GAS, CALL_GAS = 20_000_000, 3_000_000

TYPES = {
    "Order": (
        "Order(uint32 maker,bool sells,uint64 period,int128 energy,uint64 price,uint64 penalty,address oracle,"
        "uint64 expiry,uint64 timeout,uint64 nonce)"
    ),
    "Mandate": (
        "Mandate(uint32 member,address operator,uint64 firstPeriod,uint64 lastPeriod,int128 mostBought,int128 mostSold,"
        "uint64 buyPrice,uint64 sellPrice,int128 allowance)"
    ),
    "Reading": "Reading(bytes32 meter,uint64 period,int128 energy)",
    "Batch": "Batch(uint64 period,bytes entries)",
    "DebitLimit": "DebitLimit(uint32 member,int128 limit,uint256 nonce,uint64 deadline)",
    "Permit": "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
    "BalanceLeaf": "BalanceLeaf(uint64 period,uint32 member,int128 amount,int128 traded)",
    "TradeLeaf": "TradeLeaf(uint64 period,uint32 buyer,uint32 seller,int128 energy,uint64 price)",
}
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def artifact_of(name):
    """Return the shipped artifact, or that of the folder which ``MARKET_ARTIFACTS`` names."""
    folder = os.environ.get("MARKET_ARTIFACTS")
    path = Path(folder, f"{name}.json") if folder else None
    if path is None or not path.is_file():
        return load_artifact(name)
    found = json.loads(path.read_text(encoding="utf-8"))
    bytecode = bytes.fromhex(found["bytecode"].removeprefix("0x"))
    return Artifact(name, found["compiler"], tuple(found["abi"]), bytecode, found["sources_sha256"])


def fields(kind):
    return [part.split() for part in TYPES[kind].split("(")[1].rstrip(")").split(",")]


def struct_hash(kind, values):
    types = ["bytes32" if type_name == "bytes" else type_name for type_name, _ in fields(kind)]
    return keccak(keccak(text=TYPES[kind]) + encode(types, values))


def domain_hash(name, chain_id, address):
    kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    words = [keccak(text=kind), keccak(text=name), keccak(text="1")]
    return keccak(b"".join(words) + encode(["uint256", "address"], [chain_id, address]))


def packed(*entries):
    return b"".join(
        member.to_bytes(4, "big") + amount.to_bytes(8, "big", signed=True) + traded.to_bytes(8, "big", signed=True)
        for member, amount, traded in entries
    )


def _signed(number, bits):
    return number - (number >> bits - 1 << bits)


def line_amounts(delivered, energy, price, penalty):
    """Return what a seller is paid for delivery, and the buyer for the rest, both rounded down [micro-euro]."""
    return delivered * price // 1000, (energy - delivered) * penalty // 1000


class Tree:
    """A Merkle tree of leaves that are hashed twice, with sorted pairs, as OpenZeppelin's library proves it."""

    def __init__(self, leaves):
        nodes = [b""] * (2 * len(leaves) - 1)
        self.place = {}
        for i, leaf in enumerate(sorted(leaves)):
            self.place[leaf] = len(nodes) - 1 - i
            nodes[len(nodes) - 1 - i] = leaf
        for i in range(len(leaves) - 2, -1, -1):
            nodes[i] = keccak(b"".join(sorted((nodes[2 * i + 1], nodes[2 * i + 2]))))
        self.nodes, self.root = nodes, nodes[0]

    def proof(self, leaf):
        at, steps = self.place[leaf], []
        while at:
            steps.append(self.nodes[at + 1 if at % 2 else at - 1])
            at = (at - 1) // 2
        return steps

    def multiproof(self, leaves):
        """Return the leaves in the order that the proof needs, its nodes, and its flags."""
        queue = sorted((self.place[leaf] for leaf in leaves), reverse=True)
        ordered, steps, flags = [self.nodes[i] for i in queue], [], []
        while queue and queue[0]:
            at = queue.pop(0)
            sibling = at + 1 if at % 2 else at - 1
            if queue and queue[0] == sibling:
                flags.append(True)
                queue.pop(0)
            else:
                flags.append(False)
                steps.append(self.nodes[sibling])
            queue.append((at - 1) // 2)
        return ordered, steps, flags


class MarketWorld:
    """The contracts and their people: admin, operator, oracle, guardian, members, and a stranger."""

    def __init__(self, members=4):
        self.chain = EthTesterChain(accounts=members + 5, seed=SEED, genesis_timestamp_s=GENESIS_S)
        names = ("admin", "operator", "oracle", "guardian", "stranger")
        self.admin, self.operator, self.oracle, self.guardian, self.stranger = self.chain.accounts[: len(names)]
        self.members = self.chain.accounts[len(names) :]
        self.keys = {account: development_key(SEED, index) for index, account in enumerate(self.chain.accounts)}
        self.meters = [keccak(text=f"meter {index}") for index in range(members)]
        found = {
            name: artifact_of(name) for name in ("SettlementCurrency", "MemberRegistry", "EnergyMarket", "DirectTrades")
        }
        callees = [artifact.abi for artifact in found.values()]
        self.abis = {name: Abi(artifact.abi, callees=callees) for name, artifact in found.items()}
        self.currency = self._create(found["SettlementCurrency"], self.admin)
        self.registry = self._create(found["MemberRegistry"], self.admin)
        terms = (GENESIS_S, PERIOD_S, WINDOW_S, MINIMUM_BOND, AWARD)
        self.market = self._create(found["EnergyMarket"], self.currency.address, self.registry.address, terms)
        direct = to_checksum_address(self.market.call("directTrades"))
        self.direct = Contract(self.chain, direct, self.abis["DirectTrades"])
        self._appoint()

    def _create(self, artifact, *arguments):
        abi = self.abis[artifact.name]
        data = artifact.bytecode + abi.encode_constructor(*arguments)
        self.chain.submit(Transaction(self.admin, None, data, DEPLOY_GAS))
        (receipt,) = mine_all(self.chain, abi, "deployment")
        return Contract(self.chain, receipt.contract, abi)

    def _appoint(self):
        for role, account in (("OPERATOR", self.operator), ("ORACLE", self.oracle), ("GUARDIAN", self.guardian)):
            self.registry.submit(self.admin, CALL_GAS, "grantRole", self.registry.call(f"{role}_ROLE"), account)
        mine_all(self.chain, self.registry.abi, "roles")
        for first in range(0, len(self.members), 100):
            some = range(first, min(first + 100, len(self.members)))
            gas = 200_000 + 120_000 * len(some)
            self.registry.submit(self.operator, gas, "registerMembers", [self.members[i] for i in some])
            self.registry.submit(
                self.operator, gas, "assignMeters", list(some), [self.meters[i] for i in some], self.oracle
            )
        mine_all(self.chain, self.registry.abi, "members")

    def fund(self, start=START_MICRO_EUR, limit=LIMIT_MICRO_EUR):
        """Give each member a balance and a debit limit, and the operator its bond."""
        total = start * len(self.members)
        self.currency.submit(self.admin, CALL_GAS, "mint", self.admin, total)
        self.currency.submit(self.admin, CALL_GAS, "mint", self.operator, 10 * MINIMUM_BOND)
        self.currency.submit(self.admin, CALL_GAS, "approve", self.market.address, total)
        self.currency.submit(self.operator, CALL_GAS, "approve", self.market.address, 10 * MINIMUM_BOND)
        mine_all(self.chain, self.currency.abi, "currency")
        for first in range(0, len(self.members), 100):
            some = list(range(first, min(first + 100, len(self.members))))
            self.market.submit(self.admin, 200_000 + 60_000 * len(some), "depositFor", some, [start] * len(some))
        for member in self.members:
            self.market.submit(member, 100_000, "setDebitLimit", limit)
        self.market.submit(self.operator, CALL_GAS, "postBond", 2 * MINIMUM_BOND)
        mine_all(self.chain, self.market.abi, "funding")

    # -- doing things

    def do(self, sender, contract, function, *arguments, gas=CALL_GAS):
        """Run one transaction in a block of its own and return its receipt, or raise what the contract says."""
        contract.submit(sender, gas, function, *arguments)
        (receipt,) = mine_all(self.chain, contract.abi, function)
        return receipt

    def refuse(self, sender, contract, function, *arguments):
        """Return name and arguments of the error that the contract must answer with."""
        try:
            self.do(sender, contract, function, *arguments)
        except RevertedError as error:
            return error.error, error.arguments
        raise AssertionError(f"{function} was not refused")

    def wait_until(self, timestamp_s):
        """Mine so that the next transaction is in a block of this time or later."""
        if self.chain.timestamp_s < timestamp_s - 1:
            self.chain.mine(timestamp_s - 1)

    def end_of(self, period):
        return GENESIS_S + (period + 1) * PERIOD_S

    # -- signing

    def digest(self, kind, values):
        contract, name = {
            "Order": (self.direct, "DirectTrades"),
            "Reading": (self.direct, "DirectTrades"),
            "Permit": (self.currency, "Settlement Euro"),
        }.get(kind, (self.market, "EnergyMarket"))
        chain_id = self.chain._chain.chain_id
        return keccak(b"\x19\x01" + domain_hash(name, chain_id, contract.address) + struct_hash(kind, values))

    def sign(self, signer, kind, *values):
        return self.sign_digest(signer, self.digest(kind, values))

    def sign_digest(self, signer, digest):
        key = signer if isinstance(signer, PrivateKey) else self.keys[signer]
        signature = key.sign_msg_hash(digest)
        return signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([27 + signature.v])

    def order(self, maker, *, sells, **changes):
        values = {
            "maker": maker, "sells": sells, "period": 0, "energy": 2_000, "price": 250_001, "penalty": 50_001,
            "oracle": self.oracle, "expiry": self.end_of(0), "timeout": self.end_of(0) + 600, "nonce": 1,
        } | changes  # fmt: skip
        return tuple(values.values())

    def signed_order(self, maker, *, sells, **changes):
        order = self.order(maker, sells=sells, **changes)
        return order, self.sign(self.members[maker], "Order", *order)

    def mandate(self, member, **changes):
        values = {
            "named": member, "operator": self.operator, "first": 0, "last": 100, "bought": 5_000, "sold": 5_000,
            "buy": 300_000, "sell": 100_000, "allowance": 0,
        } | changes  # fmt: skip
        mandate = tuple(values.values())
        return (
            mandate,
            self.sign(self.members[member], "Mandate", *mandate),
            self.sign(self.operator, "Mandate", *mandate),
        )

    def record(self, member, period, energy):
        reading = (self.meters[member], period, energy)
        return self.do(
            self.stranger, self.direct, "recordReading", reading, self.oracle,
            self.sign(self.oracle, "Reading", *reading),
        )  # fmt: skip

    def settle(self, period, *entries, sender=None):
        """Settle a period netted and return how it was settled."""
        self.wait_until(self.end_of(period))
        batch = packed(*entries)
        signature = self.sign(self.oracle, "Batch", period, keccak(batch))
        self.do(sender or self.operator, self.market, "settleNetted", period, batch, self.oracle, signature)
        return (period, keccak(batch), self.chain.timestamp_s), batch

    def leaf(self, period, line):
        return keccak(struct_hash("BalanceLeaf", (period, *line)))

    def trade_leaf(self, period, trade):
        return keccak(struct_hash("TradeLeaf", (period, *trade)))

    def post(self, period, lines, trades=()):
        """Post the root over balances and trades, and return how the period was settled and the tree."""
        self.wait_until(self.end_of(period))
        leaves = [self.leaf(period, line) for line in lines] + [self.trade_leaf(period, trade) for trade in trades]
        tree = Tree(leaves)
        self.do(self.operator, self.market, "postRoot", period, tree.root)
        return (period, tree.root, self.chain.timestamp_s), tree

    # -- looking

    def opened(self, receipt):
        """Return the trade that a transaction opened, and its hash."""
        (event,) = [event for event in self.direct.events(receipt) if event.name == "TradeOpened"]
        return event.arguments["trade"], event.arguments["hash"]

    def accounts(self):
        """Return balance, traded energy and limit of each account, unpacked by hand."""
        words = self.market.call("accounts", 0, 2**32 - 1)
        return [(_signed(w >> 160, 96), _signed(w >> 64 & 2**96 - 1, 96), w & 2**64 - 1) for w in words]

    def balances(self):
        return tuple(balance for balance, _, _ in self.accounts())

    def traded(self):
        return tuple(traded for _, traded, _ in self.accounts())

    def tokens(self, account):
        return self.currency.call("balanceOf", account)

    def bond(self):
        return self.market.call("seat")[1]

    def check_escrow(self, periods=range(4)):
        """Assert that the escrow equals the sum of all obligations, and the currency that is there."""
        pots = sum(self.market.call("potOf", period) for period in periods)
        owed = sum(self.balances()) + self.market.call("totalLocked") + pots + self.bond()
        assert owed == self.market.call("totalEscrow") == self.tokens(self.market.address)
