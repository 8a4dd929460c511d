// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";

import {IPooledSettlement} from "../interfaces/IPooledSettlement.sol";
import {MarketHashes} from "../libraries/MarketHashes.sol";
import {Mandate, Settlement, SignedMandate} from "../types/MarketTypes.sol";
import {WattHour} from "../types/Quantities.sol";
import {OperatorSeat} from "./OperatorSeat.sol";

/// @title Periods, challenge windows and evidence
abstract contract PooledSettlement is OperatorSeat, IPooledSettlement {
    using BitMaps for BitMaps.BitMap;

    mapping(uint64 period => bytes32) private _commitments;
    mapping(uint64 period => BitMaps.BitMap) private _closed;

    /// @inheritdoc IPooledSettlement
    function commitmentOf(uint64 period) external view override returns (bytes32) {
        return _commitments[period];
    }

    /// @inheritdoc IPooledSettlement
    function isClosed(uint64 period, uint32 member) public view override returns (bool) {
        return _closed[period].get(member);
    }

    /// @dev Settles a period that is over, once, by the word that stands for kind, content and the block's time.
    function _commit(bytes32 kind, uint64 period, bytes32 content) internal {
        _requireSettling();
        if (block.timestamp < _genesis + (uint256(period) + 1) * _periodLength) revert MarketPeriodNotOver(period);
        if (_commitments[period] != bytes32(0)) revert MarketPeriodAlreadySettled(period);
        _commitments[period] = MarketHashes.hashSettlement(kind, Settlement(period, content, uint64(block.timestamp)));
    }

    /// @dev Makes a period unsettled again.
    function _void(uint64 period) internal {
        delete _commitments[period];
    }

    /// @dev Closes a member's line, once.
    function _closeLine(uint64 period, uint32 member) internal {
        if (isClosed(period, member)) revert MarketLineClosed(period, member);
        _closed[period].set(member);
    }

    /// @dev Whether the period was settled so.
    function _isSettledBy(bytes32 kind, Settlement calldata settlement) internal view returns (bool) {
        return _commitments[settlement.period] == MarketHashes.hashSettlement(kind, settlement);
    }

    /// @dev Reverts unless the period was settled so and the challenge window is open.
    function _requireOpenWindow(bytes32 kind, Settlement calldata settlement) internal view {
        uint256 closesAt = _windowEnd(kind, settlement);
        if (block.timestamp >= closesAt) revert MarketWindowClosed(closesAt);
    }

    /// @dev Reverts unless the period was settled so and the challenge window has closed.
    function _requireClosedWindow(bytes32 kind, Settlement calldata settlement) internal view {
        uint256 closesAt = _windowEnd(kind, settlement);
        if (block.timestamp < closesAt) revert MarketWindowOpen(closesAt);
    }

    /// @dev Reverts unless this mandate binds the operator towards the member in the period.
    function _requireMandate(SignedMandate calldata evidence, uint32 member, uint64 period) internal view {
        Mandate calldata mandate = evidence.mandate;
        if (
            mandate.member != member || mandate.operator != _operator() || period < mandate.firstPeriod
                || mandate.lastPeriod < period
        ) revert MarketInvalidMandate(mandate.member);
        bytes32 hash = MarketHashes.hashMandate(mandate);
        _requireSignature(_registry.accountOf(member), hash, evidence.memberSignature);
        _requireSignature(mandate.operator, hash, evidence.operatorSignature);
    }

    /// @dev The energy [Wh] that the member's present meter recorded; reverts if there is none.
    function _requireReadingOf(uint32 member, uint64 period) internal view returns (WattHour) {
        (bytes32 meter, address oracle) = _registry.meterOf(member);
        return _directTrades.requireReading(oracle, meter, period);
    }

    /// @dev When the challenge window of a settlement closes [s]; reverts if the period was not settled so.
    function _windowEnd(bytes32 kind, Settlement calldata settlement) private view returns (uint256) {
        if (!_isSettledBy(kind, settlement)) revert MarketUnknownSettlement(settlement.period);
        return uint256(settlement.settledAt) + _challengeWindow;
    }
}
