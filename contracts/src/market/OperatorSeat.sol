// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IOperatorSeat} from "../interfaces/IOperatorSeat.sol";
import {MarketTerms} from "../types/MarketTypes.sol";
import {MicroEuro, WattHour, ZERO_MICRO_EURO} from "../types/Quantities.sol";
import {MarketAccounts} from "./MarketAccounts.sol";

/// @title The operator's seat and bond
/// @dev Leaving takes one challenge window, so a bond stands behind every settlement that can still be disputed, and the
/// operator on the seat is the one who made it.
abstract contract OperatorSeat is MarketAccounts, IOperatorSeat {
    /// @dev Operator, bond [micro-euro] and release time [s]; one storage slot.
    struct Seat {
        address operator;
        uint64 bond;
        uint32 releaseAt;
    }

    uint64 internal immutable _genesis;
    uint32 internal immutable _periodLength;
    uint32 internal immutable _challengeWindow;
    MicroEuro internal immutable _minimumBond;
    MicroEuro internal immutable _award;

    Seat private _seat;

    /// @dev Takes the market's terms; lengths and the bond must be above zero, the award not below.
    constructor(MarketTerms memory fixedTerms) {
        if (
            fixedTerms.periodLength == 0 || fixedTerms.challengeWindow == 0 || fixedTerms.award < ZERO_MICRO_EURO
                || !(ZERO_MICRO_EURO < fixedTerms.minimumBond)
        ) revert MarketInvalidTerms();
        _genesis = fixedTerms.genesis;
        _periodLength = fixedTerms.periodLength;
        _challengeWindow = fixedTerms.challengeWindow;
        _minimumBond = fixedTerms.minimumBond;
        _award = fixedTerms.award;
    }

    /// @inheritdoc IOperatorSeat
    function postBond(MicroEuro amount) external override nonReentrant {
        _requireRole(_operatorRole);
        _requirePositive(amount);
        Seat memory held = _seat;
        if (held.operator != address(0) && held.operator != msg.sender) revert MarketSeatTaken(held.operator);
        held.operator = msg.sender;
        held.bond = SafeCast.toUint64(held.bond + amount.toUint256());
        _seat = held;
        emit BondPosted(msg.sender, amount);
        _takeIntoEscrow(amount);
    }

    /// @inheritdoc IOperatorSeat
    function leaveSeat() external override {
        if (_seat.operator != msg.sender) revert MarketNotSettling(msg.sender);
        _leave();
    }

    /// @inheritdoc IOperatorSeat
    function dismissOperator() external override {
        address operator = _seat.operator;
        if (operator == address(0)) revert MarketNotSettling(operator);
        if (_registry.hasRole(_operatorRole, operator)) revert MarketOperatorInOffice(operator);
        _leave();
    }

    /// @inheritdoc IOperatorSeat
    function withdrawBond() external override nonReentrant {
        Seat memory held = _seat;
        if (held.releaseAt == 0 || block.timestamp < held.releaseAt) revert MarketBondHeld(held.releaseAt);
        delete _seat;
        MicroEuro amount = _toMicroEuro(held.bond);
        emit BondWithdrawn(held.operator, amount);
        _payOut(held.operator, amount);
    }

    /// @inheritdoc IOperatorSeat
    function seat() external view override returns (address operator, MicroEuro bond, uint64 releaseAt) {
        Seat memory held = _seat;
        (operator, bond, releaseAt) = (held.operator, _toMicroEuro(held.bond), held.releaseAt);
    }

    /// @dev Reverts unless the caller may settle: on the seat, not leaving, with the minimum bond.
    function _requireSettling() internal view {
        Seat memory held = _seat;
        if (held.operator != msg.sender || held.releaseAt != 0 || _toMicroEuro(held.bond) < _minimumBond) {
            revert MarketNotSettling(msg.sender);
        }
    }

    /// @dev Who is on the seat.
    function _operator() internal view returns (address) {
        return _seat.operator;
    }

    /// @dev Moves an amount [micro-euro], or what is left of the bond, to a member's balance.
    function _slash(uint32 member, MicroEuro amount) internal {
        Seat memory held = _seat;
        MicroEuro bond = _toMicroEuro(held.bond);
        MicroEuro paid = bond < amount ? bond : amount;
        _seat.bond = uint64((bond - paid).toUint256()); // no more than the bond before
        _credit(member, paid, WattHour.wrap(0));
        emit BondSlashed(held.operator, member, paid);
    }

    /// @dev Starts the release, unless it has begun.
    function _leave() private {
        Seat memory held = _seat;
        if (held.releaseAt != 0) revert MarketBondHeld(held.releaseAt);
        uint32 releaseAt = SafeCast.toUint32(block.timestamp + _challengeWindow);
        _seat.releaseAt = releaseAt;
        emit OperatorLeaving(held.operator, releaseAt);
    }

    /// @dev A stored bond as money [micro-euro].
    function _toMicroEuro(uint64 amount) private pure returns (MicroEuro) {
        return MicroEuro.wrap(int128(uint128(amount)));
    }
}
