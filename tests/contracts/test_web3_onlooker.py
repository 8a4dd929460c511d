"""A second client, web3, sees what ours sees."""

from web3 import EthereumTesterProvider, Web3

from vpp_sim.chain.contract import load_artifact


def test_web3_reads_the_same_balances_and_receipts(world):
    entries = b"".join(
        member.to_bytes(4, "big") + amount.to_bytes(8, "big", signed=True) + bytes(8)
        for member, amount in ((0, 30), (2, -30))
    )
    receipt = world.do(world.operator, world.settlement, "settle", 3, entries)

    web3 = Web3(EthereumTesterProvider(world.chain.tester))
    contract = web3.eth.contract(address=world.settlement.address, abi=load_artifact("EnergySettlement").abi)
    assert contract.functions.accounts().call() == [[970, 0, 530], [0, 0, 0]]
    theirs = web3.eth.get_transaction_receipt(receipt.transaction)
    assert (theirs["status"], theirs["gasUsed"]) == (1, receipt.gas_used)
    assert theirs["blockNumber"] == receipt.block_number == web3.eth.block_number
    assert web3.eth.get_block("latest")["timestamp"] == world.chain.timestamp_s
    (event,) = contract.events.PeriodSettled().process_receipt(theirs)
    assert dict(event["args"]) == {
        "period": 3,
        "digest": Web3.keccak(entries),
        "entries": 2,
        "turnover": 30,
        "traded": 0,
    }
