"""Settlement on an EVM chain: backends, contract clients, and reconciliation with the ledger.

The package has three layers. :mod:`~vpp_sim.chain.protocol` says what a backend is: something that queues signed
transactions, mines blocks when it is told to, and answers calls. Three backends are that. Two run inside the process
and share accounts and queue (:mod:`~vpp_sim.chain.local`, :mod:`~vpp_sim.chain.mempool`):
:mod:`~vpp_sim.chain.eth_tester`, py-evm, a whole chain with state roots, and :mod:`~vpp_sim.chain.revm`, the Rust EVM,
thirty times as fast and of the same gas to the unit. The third, :mod:`~vpp_sim.chain.rpc`, speaks to any node. Above
them, :mod:`~vpp_sim.chain.contract` speaks the contract ABI and names what a contract reverted with, and
:mod:`~vpp_sim.chain.settlement` is the one client that a simulation needs: it deploys, settles, and compares.

Keys are held in one place (:mod:`~vpp_sim.chain.wallet`) and every backend takes signed bytes, so that whoever must
survive a crash can keep them and send them again. A node never sees a key and a scenario never holds one.

Time belongs to the caller. Nothing here mines by itself or reads a clock: whoever owns time calls
:meth:`~vpp_sim.chain.settlement.SettlementClient.mine_block` with the block's time, so the same run gives the same
hashes; only a node with a clock of its own is waited for. Mining on every transaction was turned down because a block
time and a confirmation depth could then not be simulated; a web3 client inside the loop was turned down because it
costs more than the EVM itself; and the gas that pyrevm counts by itself is too low from the second transaction on, so
each transaction begins cold here (:mod:`~vpp_sim.chain.revm_state`). (A web3 client can be attached from outside: see
:attr:`~vpp_sim.chain.eth_tester.EthTesterChain.tester`.)

It follows that a batch is settled only once it is confirmed, and that in between the chain may lag the ledger:
:meth:`~vpp_sim.chain.settlement.SettlementClient.reconcile` therefore compares the ledger with the chain's balances
less what is still on its way.

The contracts' compiled artifacts ship in ``artifacts/`` with the hashes of their sources; running needs no compiler.
Importing this package loads no EVM; import the modules by name.
"""

__all__ = [
    "addresses",
    "batch",
    "contract",
    "deployment",
    "envelope",
    "eth_tester",
    "event_log",
    "gas_rules",
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
    "proofs",
    "protocol",
    "pruning",
    "record",
    "replay",
    "revm",
    "revm_state",
    "rlp_bytes",
    "rpc",
    "settlement",
    "stand_in",
    "statements",
    "typed_data",
    "wallet",
]
