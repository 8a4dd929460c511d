"""Settlement on an EVM chain: backends, contract clients, and reconciliation with the ledger.

The package has three layers. :mod:`~vpp_sim.chain.protocol` says what a backend is: something that queues signed
transactions, mines blocks when it is told to, and answers calls. Three backends are that. Two run inside the process
and share accounts and queue (:mod:`~vpp_sim.chain.local`, :mod:`~vpp_sim.chain.mempool`):
:mod:`~vpp_sim.chain.eth_tester`, py-evm, a whole chain with state roots, and :mod:`~vpp_sim.chain.revm`, the Rust EVM,
thirty times as fast and of the same gas to the unit. The third, :mod:`~vpp_sim.chain.rpc`, speaks to any node. Two more
wrap a chain: :mod:`~vpp_sim.chain.journal` records what was mined, for :mod:`~vpp_sim.chain.replay` to prove it again,
and :mod:`~vpp_sim.chain.unreliable` misbehaves as networks do.

Above them, :mod:`~vpp_sim.chain.contract` speaks the contract ABI and names what a contract reverted with,
:mod:`~vpp_sim.chain.market` is the deployed energy market, and :mod:`~vpp_sim.chain.kinds` makes of a period's
statement the transactions that pay it, some of which precede it where members trade directly
(:mod:`~vpp_sim.chain.direct_trades`). On top is the pipeline that brings them onto the chain exactly once: the
:mod:`~vpp_sim.chain.outbox` keeps statements, jobs and signed bytes on disk before anything leaves, the
:mod:`~vpp_sim.chain.courier` sends, watches and repeats, and :mod:`~vpp_sim.chain.settlement` is the one client that a
simulation needs: it submits, advances, and compares the chain with the ledger.

Keys are held in one place (:mod:`~vpp_sim.chain.wallet`) and every backend takes signed bytes, so that whoever must
survive a crash can keep them and send them again. A node never sees a key and a scenario never holds one.

Time belongs to the caller. Nothing here mines by itself or reads a clock: who produces blocks mines them at times of
her own, and the client is told the time when it is to look; so the same run gives the same hashes. Only a node with a
clock of its own is waited for. Mining on every transaction was turned down because a block time and a confirmation
depth could then not be simulated; a web3 client inside the loop was turned down because it costs more than the EVM
itself; and the gas that pyrevm counts by itself is too low from the second transaction on, so each transaction begins
cold here (:mod:`~vpp_sim.chain.revm_state`). (A web3 client can be attached from outside: see
:attr:`~vpp_sim.chain.eth_tester.EthTesterChain.tester`.) A queue in memory was turned down for the outbox, since what a
killed process had sent would be unknown to the next; a fresh nonce for a repeat was, since both could be mined.

It follows that a payment is final only once it is confirmed, that even then a reorganisation may undo it, and that the
chain lags the ledger: :meth:`~vpp_sim.chain.settlement.SettlementClient.reconcile` therefore compares what was
submitted with the ledger, and what was mined with the chain.

The contracts' compiled artifacts ship in ``artifacts/`` with the hashes of their sources; running needs no compiler.
Importing this package loads no EVM; import the modules by name.
"""

__all__ = [
    "addresses",
    "batch",
    "block_times",
    "contract",
    "courier",
    "deployment",
    "direct_trades",
    "envelope",
    "eth_tester",
    "event_log",
    "faults",
    "gas_rules",
    "gossip",
    "jobs",
    "journal",
    "json_rpc",
    "keccak",
    "kinds",
    "local",
    "market",
    "mempool",
    "merkle",
    "networks",
    "opening",
    "openings",
    "outbox",
    "outbox_items",
    "proofs",
    "protocol",
    "pruning",
    "record",
    "replay",
    "revm",
    "revm_state",
    "rlp_bytes",
    "rpc",
    "settled_period",
    "settlement",
    "settlements",
    "stand_in",
    "statements",
    "typed_data",
    "unreliable",
    "wallet",
]
