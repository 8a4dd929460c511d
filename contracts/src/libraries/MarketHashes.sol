// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Line, Mandate, Order, Reading, Settlement, Trade, TradeLeaf} from "../types/MarketTypes.sol";

/// @title What is signed, committed and put into trees
/// @notice EIP-712 struct hashes, commitments and Merkle leaves. Each kind begins with the hash of its own type, so that
/// none can be taken for another; leaves are hashed twice, so that no inner node can be taken for one.
library MarketHashes {
    bytes32 private constant ORDER_TYPEHASH = keccak256(
        "Order(uint32 maker,bool sells,uint64 period,int128 energy,uint64 price,uint64 penalty,address oracle,uint64 expiry,uint64 timeout,uint64 nonce)"
    );
    bytes32 private constant MANDATE_TYPEHASH = keccak256(
        "Mandate(uint32 member,address operator,uint64 firstPeriod,uint64 lastPeriod,int128 mostBought,int128 mostSold,uint64 buyPrice,uint64 sellPrice,int128 allowance)"
    );
    bytes32 private constant READING_TYPEHASH = keccak256("Reading(bytes32 meter,uint64 period,int128 energy)");
    bytes32 private constant BATCH_TYPEHASH = keccak256("Batch(uint64 period,bytes entries)");
    bytes32 private constant DEBIT_LIMIT_TYPEHASH =
        keccak256("DebitLimit(uint32 member,int128 limit,uint256 nonce,uint64 deadline)");
    bytes32 private constant BALANCE_LEAF =
        keccak256("BalanceLeaf(uint64 period,uint32 member,int128 amount,int128 traded)");
    bytes32 private constant TRADE_LEAF =
        keccak256("TradeLeaf(uint64 period,uint32 buyer,uint32 seller,int128 energy,uint64 price)");

    /// @dev Struct hash of an order.
    function hashOrder(Order calldata order) internal pure returns (bytes32) {
        return keccak256(abi.encode(ORDER_TYPEHASH, order));
    }

    /// @dev Struct hash of a mandate.
    function hashMandate(Mandate calldata mandate) internal pure returns (bytes32) {
        return keccak256(abi.encode(MANDATE_TYPEHASH, mandate));
    }

    /// @dev Struct hash of a meter reading.
    function hashReading(Reading calldata reading) internal pure returns (bytes32) {
        return keccak256(abi.encode(READING_TYPEHASH, reading));
    }

    /// @dev Struct hash of a netted batch; `digest` is Keccak-256 of its packed entries.
    function hashBatch(uint64 period, bytes32 digest) internal pure returns (bytes32) {
        return keccak256(abi.encode(BATCH_TYPEHASH, period, digest));
    }

    /// @dev Struct hash of a member's debit limit [micro-euro].
    function hashDebitLimit(uint32 member, int128 limit, uint256 nonce, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(DEBIT_LIMIT_TYPEHASH, member, limit, nonce, deadline));
    }

    /// @dev What names an open trade.
    function hashTrade(Trade memory trade) internal pure returns (bytes32) {
        return keccak256(abi.encode(trade));
    }

    /// @dev The word that the chain keeps of a settlement of one kind.
    function hashSettlement(bytes32 kind, Settlement memory settlement) internal pure returns (bytes32) {
        return keccak256(abi.encode(kind, settlement));
    }

    /// @dev A member's balance as a leaf of the period's tree.
    function balanceLeaf(uint64 period, Line calldata line) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(BALANCE_LEAF, period, line))));
    }

    /// @dev A trade as a leaf of the period's tree.
    function tradeLeaf(uint64 period, TradeLeaf calldata trade) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(TRADE_LEAF, period, trade))));
    }
}
