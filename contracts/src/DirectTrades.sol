// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

import {IDirectTrades} from "./interfaces/IDirectTrades.sol";
import {IMarketAccounts} from "./interfaces/IMarketAccounts.sol";
import {LineRules} from "./libraries/LineRules.sol";
import {MarketHashes} from "./libraries/MarketHashes.sol";
import {Order, Trade} from "./types/MarketTypes.sol";
import {MicroEuro, MicroEuroPerKwh, WattHour, ZERO_WATT_HOUR} from "./types/Quantities.sol";
import {MarketSignatures} from "./market/MarketSignatures.sol";
import {MeterReadings} from "./market/MeterReadings.sol";

/// @title Direct trades
/// @notice Holds no money: a market deploys it, locks money for it, and releases what it says, never more than is locked.
/// @dev `multicall` runs several calls of one sender in one transaction, such as a reading and the trades that it settles.
/// A trade is unique by oracle, meter, period and `ahead`, since every trade promises more than nothing.
contract DirectTrades is MeterReadings, Multicall, IDirectTrades {
    /// @dev What stands for a cancelled order [Wh].
    WattHour private constant CANCELLED = WattHour.wrap(type(int128).max);

    IMarketAccounts private immutable _market;

    mapping(bytes32 hash => bool) private _posted;
    mapping(bytes32 hash => WattHour) private _filled;
    mapping(uint32 member => uint64) private _lowestNonce;
    mapping(bytes32 hash => bool) private _open;

    /// @notice Deploys the contract for the market that deploys it.
    /// @param members The registry of members, meters and roles; not the zero address.
    /// @param genesis Start of period 0, as Unix time [s].
    /// @param periodLength Length of every period, above zero [s].
    constructor(address members, uint64 genesis, uint32 periodLength)
        MarketSignatures("DirectTrades", members)
        MeterReadings(genesis, periodLength)
    {
        _market = IMarketAccounts(msg.sender);
    }

    /// @inheritdoc IDirectTrades
    function postOrder(Order calldata order) external override {
        _requireMaker(order);
        bytes32 hash = hashOrder(order);
        _posted[hash] = true;
        emit OrderPosted(hash, order.maker, order);
    }

    /// @inheritdoc IDirectTrades
    function cancelOrder(Order calldata order) external override {
        _requireMaker(order);
        bytes32 hash = hashOrder(order);
        _filled[hash] = CANCELLED;
        emit OrderCancelled(hash, order.maker);
    }

    /// @inheritdoc IDirectTrades
    function cancelOrdersBelow(uint64 lowestNonce) external override {
        uint32 maker = _registry.memberOf(msg.sender);
        if (lowestNonce <= _lowestNonce[maker]) revert MarketInvalidNonce(_lowestNonce[maker]);
        _lowestNonce[maker] = lowestNonce;
        emit OrdersCancelled(maker, lowestNonce);
    }

    /// @inheritdoc IDirectTrades
    function acceptOrder(Order calldata order, bytes calldata signature, WattHour energy)
        external
        override
        returns (bytes32)
    {
        uint32 taker = _registry.memberOf(msg.sender);
        bytes32 hash = _requireGood(order, signature);
        _fill(hash, order, energy);
        // slither-disable-next-line uninitialized-local
        Trade memory trade; // zeros at first, filled here and in _openTrade
        (trade.buyer, trade.seller) = order.sells ? (taker, order.maker) : (order.maker, taker);
        (trade.price, trade.timeout) = (order.price, order.timeout);
        return _openTrade(trade, order, energy);
    }

    /// @inheritdoc IDirectTrades
    function matchOrders(
        Order calldata offer,
        bytes calldata offerSignature,
        Order calldata bid,
        bytes calldata bidSignature
    ) external override returns (bytes32) {
        bytes32 offerHash = _requireGood(offer, offerSignature);
        bytes32 bidHash = _requireGood(bid, bidSignature);
        if (!_fit(offer, bid)) revert MarketOrdersDiffer(offerHash, bidHash);
        WattHour energy = offer.energy - _filled[offerHash];
        WattHour wanted = bid.energy - _filled[bidHash];
        if (wanted < energy) energy = wanted;
        _fill(offerHash, offer, energy);
        _fill(bidHash, bid, energy);
        // slither-disable-next-line uninitialized-local
        Trade memory trade; // zeros at first, filled here and in _openTrade
        (trade.buyer, trade.seller) = (bid.maker, offer.maker);
        trade.price = _mean(offer.price, bid.price);
        trade.timeout = bid.timeout < offer.timeout ? bid.timeout : offer.timeout;
        return _openTrade(trade, offer, energy);
    }

    /// @inheritdoc IDirectTrades
    function settleTrade(Trade calldata trade) external override {
        bytes32 hash = _close(trade);
        WattHour fedIn = ZERO_WATT_HOUR - requireReading(trade.oracle, trade.meter, trade.period);
        WattHour delivered = LineRules.clamp(fedIn - trade.ahead, ZERO_WATT_HOUR, trade.energy);
        MicroEuro paid = delivered.costAt(trade.price);
        MicroEuro penalty = (trade.energy - delivered).costAt(trade.penalty);
        (MicroEuro cost, MicroEuro collateral) = _locked(trade);
        (MicroEuro toBuyer, MicroEuro toSeller) = (cost - paid + penalty, collateral - penalty + paid);
        emit TradeSettled(hash, delivered, paid, penalty);
        _market.releaseTrade(trade.buyer, toBuyer, trade.seller, toSeller, delivered);
    }

    /// @inheritdoc IDirectTrades
    function refundTrade(Trade calldata trade) external override {
        bytes32 hash = _close(trade);
        (bool recorded,,) = readingOf(trade.oracle, trade.meter, trade.period);
        if (recorded) revert MarketReadingRecorded(trade.meter, trade.period);
        if (block.timestamp < trade.timeout) revert MarketTradeWaiting(trade.timeout);
        emit TradeRefunded(hash);
        (MicroEuro cost, MicroEuro collateral) = _locked(trade);
        _market.releaseTrade(trade.buyer, cost, trade.seller, collateral, ZERO_WATT_HOUR);
    }

    /// @inheritdoc IDirectTrades
    function filledOf(bytes32 hash) external view override returns (WattHour) {
        return _filled[hash];
    }

    /// @inheritdoc IDirectTrades
    function isOpen(bytes32 hash) external view override returns (bool) {
        return _open[hash];
    }

    /// @inheritdoc IDirectTrades
    function hashOrder(Order calldata order) public view override returns (bytes32) {
        return _hashTypedDataV4(MarketHashes.hashOrder(order));
    }

    /// @dev Locks the money of both sides and opens the trade on the seller's meter; takes what the order says of it.
    function _openTrade(Trade memory trade, Order calldata order, WattHour energy) private returns (bytes32 hash) {
        if (trade.buyer == trade.seller) revert MarketSelfTrade(trade.buyer);
        if (block.timestamp >= periodEnd(order.period)) revert MarketPeriodOver(order.period);
        (trade.meter, trade.oracle) = _registry.meterOf(trade.seller);
        if (trade.oracle != order.oracle) revert MarketOracleDiffers(order.oracle, trade.oracle);
        (trade.period, trade.energy, trade.penalty) = (order.period, energy, order.penalty);
        trade.ahead = _promise(trade.oracle, trade.meter, trade.period, energy);
        hash = MarketHashes.hashTrade(trade);
        _open[hash] = true;
        emit TradeOpened(hash, trade.buyer, trade.seller, trade);
        (MicroEuro cost, MicroEuro collateral) = _locked(trade);
        _market.lockTrade(trade.buyer, cost, trade.seller, collateral);
    }

    /// @dev Closes an open trade, once.
    function _close(Trade calldata trade) private returns (bytes32 hash) {
        hash = MarketHashes.hashTrade(trade);
        if (!_open[hash]) revert MarketUnknownTrade(hash);
        delete _open[hash];
    }

    /// @dev Takes energy [Wh] from what an order has left.
    function _fill(bytes32 hash, Order calldata order, WattHour energy) private {
        WattHour left = order.energy - _filled[hash];
        if (!(ZERO_WATT_HOUR < energy) || left < energy) revert MarketOrderFilled(hash, left);
        _filled[hash] = _filled[hash] + energy;
    }

    /// @dev Reverts unless the order makes sense, is in time, and comes from its maker.
    function _requireGood(Order calldata order, bytes calldata signature) private view returns (bytes32 hash) {
        bytes32 structHash = MarketHashes.hashOrder(order);
        hash = _hashTypedDataV4(structHash);
        if (!(ZERO_WATT_HOUR < order.energy) || order.timeout < order.expiry) revert MarketInvalidOrder(hash);
        if (order.expiry < block.timestamp) revert MarketExpired(order.expiry);
        if (order.nonce < _lowestNonce[order.maker]) revert MarketInvalidNonce(_lowestNonce[order.maker]);
        if (signature.length == 0 && _posted[hash]) return hash;
        _requireSignature(_registry.accountOf(order.maker), structHash, signature);
    }

    /// @dev Reverts unless the caller is the order's maker.
    function _requireMaker(Order calldata order) private view {
        if (_registry.accountOf(order.maker) != msg.sender) revert MarketNotMaker(msg.sender);
    }

    /// @dev What is locked for a trade: the buyer's money and the seller's [micro-euro].
    function _locked(Trade memory trade) private pure returns (MicroEuro cost, MicroEuro collateral) {
        return (trade.energy.costAt(trade.price), trade.energy.costAt(trade.penalty));
    }

    /// @dev Whether an offer and a bid can trade with one another.
    function _fit(Order calldata offer, Order calldata bid) private pure returns (bool) {
        return offer.sells && !bid.sells && offer.period == bid.period && offer.oracle == bid.oracle
            && !(bid.price < offer.price) && !(offer.penalty < bid.penalty);
    }

    /// @dev The mean of two prices, rounded down [micro-euro/kWh].
    function _mean(MicroEuroPerKwh a, MicroEuroPerKwh b) private pure returns (MicroEuroPerKwh) {
        uint256 sum = uint256(MicroEuroPerKwh.unwrap(a)) + MicroEuroPerKwh.unwrap(b);
        return MicroEuroPerKwh.wrap(uint64(sum / 2));
    }
}
