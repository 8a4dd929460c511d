// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Order, Trade} from "../src/types/MarketTypes.sol";
import {MicroEuro, WattHour} from "../src/types/Quantities.sol";
import {MarketFixture} from "./MarketFixture.sol";

/// @dev What random sequences may do; every call is bounded so that most succeed.
contract MarketHandler is MarketFixture {
    Trade[] private _trades;
    uint64 private _nonce;

    bytes32[8] private _commitments;
    bool private _changed;

    constructor() {
        _deploy();
    }

    function wait_(uint256 seconds_) external {
        VM.warp(block.timestamp + _bound(seconds_, 1, 3 * PERIOD_S));
    }

    function withdraw(uint256 who, uint256 amount) external {
        uint32 member = _pick(who);
        amount = _bound(amount, 0, uint256(int256(_balanceOf(member))));
        if (amount == 0) return;
        VM.prank(VM.addr(_keyOf(member)));
        _market.withdraw(MicroEuro.wrap(int128(int256(amount))));
    }

    function deposit(uint256 who, uint256 amount) external {
        address account = VM.addr(_keyOf(_pick(who)));
        amount = _bound(amount, 0, _currency.balanceOf(account));
        if (amount == 0) return;
        VM.prank(account);
        _currency.approve(address(_market), amount);
        VM.prank(account);
        _market.deposit(MicroEuro.wrap(int128(int256(amount))));
    }

    function trade(uint256 who, uint256 whom, uint256 period, uint256 energy, uint256 price, uint256 penalty) external {
        Order memory order = _order(
            _pick(who), uint64(_bound(period, 0, 7)), int128(int256(_bound(energy, 1, 3_000))),
            uint64(_bound(price, 0, 400_000)), uint64(_bound(penalty, 0, 100_000)), ++_nonce
        );
        uint32 taker = _pick(whom);
        (bytes32 meter, address oracle) = _registry.meterOf(order.maker);
        (,, WattHour ahead) = _direct.readingOf(oracle, meter, order.period);
        VM.prank(VM.addr(_keyOf(order.maker)));
        _direct.postOrder(order);
        VM.prank(VM.addr(_keyOf(taker)));
        _direct.acceptOrder(order, "", order.energy);
        _trades.push(
            Trade(
                taker, order.maker, meter, oracle, order.period, order.energy, ahead, order.price, order.penalty,
                order.timeout
            )
        );
    }

    function record(uint256 who, uint256 period, int256 energy) external {
        _record(_pick(who), uint64(_bound(period, 0, 7)), int128(energy % 4_000));
    }

    function endTrade(uint256 which, bool refund) external {
        if (_trades.length == 0) return;
        Trade memory ending = _trades[which % _trades.length];
        refund ? _direct.refundTrade(ending) : _direct.settleTrade(ending);
    }

    function netted(uint256 period, int64 a, int64 b) external {
        period = _bound(period, 0, 7);
        (a, b) = (a % 1_000_000, b % 1_000_000);
        bytes memory entries = abi.encodePacked(uint32(0), a, b, uint32(1), b, -b, uint32(2), -a - b, int64(0));
        _settleNetted(uint64(period), entries);
        _keep(period);
    }

    function post(uint256 period, bytes32 root) external {
        period = _bound(period, 0, 7);
        _market.postRoot(uint64(period), root);
        _keep(period);
    }

    function pause(bool on) external {
        on ? _market.pause() : _market.unpause();
    }

    function holds() external view returns (bool) {
        for (uint64 period = 0; period < 8; ++period) {
            if (_commitments[period] != bytes32(0) && _commitments[period] != _market.commitmentOf(period)) return false;
        }
        return _escrowIsOwed() && !_changed && _currency.totalSupply() == 4 * START;
    }

    function _keep(uint256 period) private {
        if (_commitments[period] != bytes32(0)) _changed = true;
        _commitments[period] = _market.commitmentOf(uint64(period));
    }

    function _pick(uint256 who) private pure returns (uint32) {
        return uint32(who % MEMBERS);
    }
}

/// @dev What holds after every call of every random sequence.
contract MarketInvariantsTest {
    MarketHandler private _handler;

    function setUp() public {
        _handler = new MarketHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_EscrowIsOwedAndSettledPeriodsStay() public view {
        assert(_handler.holds());
    }
}
