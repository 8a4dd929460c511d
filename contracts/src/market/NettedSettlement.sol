// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INettedSettlement} from "../interfaces/INettedSettlement.sol";
import {LineRules} from "../libraries/LineRules.sol";
import {MarketHashes} from "../libraries/MarketHashes.sol";
import {SettlementEntries} from "../libraries/SettlementEntries.sol";
import {Account} from "../types/Account.sol";
import {Line, Settlement, SignedMandate} from "../types/MarketTypes.sol";
import {MicroEuro, WattHour} from "../types/Quantities.sol";
import {PooledSettlement} from "./PooledSettlement.sol";

/// @title Netted settlement
abstract contract NettedSettlement is PooledSettlement, INettedSettlement {
    using SettlementEntries for bytes;

    bytes32 private constant NETTED = keccak256("netted");

    /// @inheritdoc INettedSettlement
    function settleNetted(uint64 period, bytes calldata entries, address oracle, bytes calldata signature)
        external
        override
        whenNotPaused
    {
        if (entries.length == 0 || entries.length % SettlementEntries.ENTRY_BYTES != 0) {
            revert MarketInvalidBatch(entries.length);
        }
        bytes32 digest = keccak256(entries);
        _commit(NETTED, period, digest);
        _requireOracle(oracle, MarketHashes.hashBatch(period, digest), signature);
        (MicroEuro turnover, WattHour traded) = _bookAll(entries);
        emit PeriodSettled(period, digest, entries.length / SettlementEntries.ENTRY_BYTES, turnover, traded);
    }

    /// @inheritdoc INettedSettlement
    function disputeByMandate(
        Settlement calldata settlement,
        bytes calldata entries,
        uint256 index,
        SignedMandate calldata evidence
    ) external override {
        Line memory line = _requireLine(settlement, entries, index);
        _requireMandate(evidence, line.member, settlement.period);
        (bool broken, MicroEuro overcharge) = LineRules.againstMandate(line, evidence.mandate);
        _compensate(settlement.period, line.member, broken, overcharge);
    }

    /// @inheritdoc INettedSettlement
    function disputeByReading(Settlement calldata settlement, bytes calldata entries, uint256 index)
        external
        override
    {
        Line memory line = _requireLine(settlement, entries, index);
        WattHour metered = _requireReadingOf(line.member, settlement.period);
        (bool broken, MicroEuro overcharge) = LineRules.againstReading(line, metered);
        _compensate(settlement.period, line.member, broken, overcharge);
    }

    /// @dev Books all entries; reverts unless they ascend, sum to zero, and keep everyone's limit and balance.
    /// @return Sum of all debits [micro-euro].
    /// @return Sum of all energy bought [Wh].
    function _bookAll(bytes calldata entries) private returns (MicroEuro, WattHour) {
        uint256 count = _registry.memberCount();
        uint256 lowest = 0;
        int256 money = 0;
        int256 energy = 0;
        int256 debits = 0;
        int256 bought = 0;
        for (uint256 offset = 0; offset < entries.length; offset += SettlementEntries.ENTRY_BYTES) {
            (uint32 member, int256 amount, int256 traded) = entries.read(offset);
            if (member < lowest) revert MarketInvalidOrderOfMembers(member);
            if (member >= count) revert MarketInvalidMember(member);
            _bookEntry(member, amount, traded);
            // Members ascend, so there are at most 2^32 entries of 64 bits: the sums stay within 96 bits.
            unchecked {
                lowest = uint256(member) + 1;
                money += amount;
                energy += traded;
                if (amount > 0) debits += amount;
                if (traded > 0) bought += traded;
            }
        }
        if (money != 0) revert MarketUnbalancedMoney(MicroEuro.wrap(int128(money)));
        if (energy != 0) revert MarketUnbalancedEnergy(WattHour.wrap(int128(energy)));
        return (MicroEuro.wrap(int128(debits)), WattHour.wrap(int128(bought)));
    }

    /// @dev Books one entry within its member's limit [micro-euro] and balance.
    function _bookEntry(uint32 member, int256 amount, int256 traded) private {
        Account account = _account(member);
        int256 limit = account.limitOf();
        if (limit < amount) {
            revert MarketDebitLimitExceeded(member, MicroEuro.wrap(int128(limit)), MicroEuro.wrap(int128(amount)));
        }
        _book(member, account, amount, traded);
    }

    /// @dev Pays a broken line's member out of the bond, once.
    function _compensate(uint64 period, uint32 member, bool broken, MicroEuro overcharge) private {
        if (!broken) revert MarketLineKept(member);
        _closeLine(period, member);
        _slash(member, overcharge + _award);
    }

    /// @dev The line at a position of a batch that can still be disputed.
    function _requireLine(Settlement calldata settlement, bytes calldata entries, uint256 index)
        private
        view
        returns (Line memory)
    {
        if (keccak256(entries) != settlement.content) revert MarketUnknownSettlement(settlement.period);
        _requireOpenWindow(NETTED, settlement);
        uint256 offset = index * SettlementEntries.ENTRY_BYTES;
        if (offset >= entries.length) revert MarketUnknownSettlement(settlement.period);
        (uint32 member, int256 amount, int256 traded) = entries.read(offset);
        return Line(member, MicroEuro.wrap(int128(amount)), WattHour.wrap(int128(traded)));
    }
}
