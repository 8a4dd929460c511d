// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Order, Trade} from "../types/MarketTypes.sol";
import {MicroEuro, WattHour} from "../types/Quantities.sol";

/// @title Direct trades between two members
/// @notice A member's order is accepted by another member, or matched with a counterpart by anybody. The buyer's money and
/// the seller's penalty are locked; a recorded meter reading releases both; without one, both are refunded after the
/// time-out. The operator has no part in it. Trades on one meter and period are served in the order they were opened.
/// Pause stops new trades, since the market then locks no money. Amounts round towards zero: who receives a payment bears less than one micro-euro a trade.
interface IDirectTrades {
    /// @notice A member posted an order by its own transaction.
    /// @param hash EIP-712 hash of the order.
    /// @param maker Index of the member.
    /// @param order The order.
    event OrderPosted(bytes32 indexed hash, uint32 indexed maker, Order order);

    /// @notice A member cancelled what was left of an order.
    /// @param hash EIP-712 hash of the order.
    /// @param maker Index of the member.
    event OrderCancelled(bytes32 indexed hash, uint32 indexed maker);

    /// @notice A member cancelled all its orders of lower nonces.
    /// @param maker Index of the member.
    /// @param lowestNonce The least nonce that is still good.
    event OrdersCancelled(uint32 indexed maker, uint64 lowestNonce);

    /// @notice Money was locked for a trade.
    /// @param hash What names the trade from now on.
    /// @param buyer Index of the buyer.
    /// @param seller Index of the seller.
    /// @param trade The trade.
    event TradeOpened(bytes32 indexed hash, uint32 indexed buyer, uint32 indexed seller, Trade trade);

    /// @notice A trade was paid by its meter reading.
    /// @param hash What names the trade.
    /// @param delivered What was delivered of it [Wh].
    /// @param paid What the seller received for that [micro-euro].
    /// @param penalty What the buyer received for the rest [micro-euro].
    event TradeSettled(bytes32 indexed hash, WattHour delivered, MicroEuro paid, MicroEuro penalty);

    /// @notice A trade without a reading was refunded to both sides.
    /// @param hash What names the trade.
    event TradeRefunded(bytes32 indexed hash);

    /// @notice An order that cannot be meant: no energy, a negative one, or a time-out before its expiry.
    /// @param hash EIP-712 hash of the order.
    error MarketInvalidOrder(bytes32 hash);

    /// @notice An order that is cancelled, or has less left than is asked for.
    /// @param hash EIP-712 hash of the order.
    /// @param left What is left of it [Wh].
    error MarketOrderFilled(bytes32 hash, WattHour left);

    /// @notice The caller is not the maker of the order.
    /// @param account The caller.
    error MarketNotMaker(address account);

    /// @notice A nonce that would bring cancelled orders back.
    /// @param lowestNonce The least nonce that is still good.
    error MarketInvalidNonce(uint64 lowestNonce);

    /// @notice A member would trade with itself.
    /// @param member Index of the member.
    error MarketSelfTrade(uint32 member);

    /// @notice An offer and a bid that do not fit: sides, period, oracle, price or penalty.
    /// @param offer EIP-712 hash of the first order.
    /// @param bid EIP-712 hash of the second order.
    error MarketOrdersDiffer(bytes32 offer, bytes32 bid);

    /// @notice The order names another oracle than the seller's meter has.
    /// @param named The oracle in the order.
    /// @param found The meter's oracle.
    error MarketOracleDiffers(address named, address found);

    /// @notice The period of delivery is over.
    /// @param period The period.
    error MarketPeriodOver(uint64 period);

    /// @notice There is no open trade of this hash.
    /// @param hash What should name the trade.
    error MarketUnknownTrade(bytes32 hash);

    /// @notice A trade that still waits for its reading.
    /// @param timeout From when it can be refunded, as Unix time [s].
    error MarketTradeWaiting(uint64 timeout);

    /// @notice Posts an order without a signature; anybody may read it from the event and accept it.
    /// @dev Only its maker may call. Can never lock money by itself.
    /// @param order The order.
    function postOrder(Order calldata order) external;

    /// @notice Cancels what is left of an order.
    /// @dev Only its maker may call. Can never touch trades that are open already.
    /// @param order The order.
    function cancelOrder(Order calldata order) external;

    /// @notice Cancels all orders of the caller whose nonce is lower.
    /// @dev Only members may call. Can never touch trades that are open already, nor bring an order back.
    /// @param lowestNonce The least nonce that shall still be good; above the present one.
    function cancelOrdersBelow(uint64 lowestNonce) external;

    /// @notice Accepts some of another member's order at its price; locks the money of both.
    /// @dev Only members may call, unless paused. Can never take more than the order has left, nor without the signature
    /// or the posting of its maker.
    /// @param order The order.
    /// @param signature The maker's EIP-712 signature; empty if the order was posted.
    /// @param energy How much of it to trade [Wh].
    /// @return hash What names the trade.
    function acceptOrder(Order calldata order, bytes calldata signature, WattHour energy)
        external
        returns (bytes32 hash);

    /// @notice Matches an offer with a bid for as much as both have left, at the mean of their prices (rounded down), the
    /// offer's penalty and the earlier time-out; locks the money of both.
    /// @dev Anyone may call, unless paused. Can never go beyond what either side has signed or posted.
    /// @param offer The offer.
    /// @param offerSignature The seller's EIP-712 signature; empty if the order was posted.
    /// @param bid The bid.
    /// @param bidSignature The buyer's EIP-712 signature; empty if the order was posted.
    /// @return hash What names the trade.
    function matchOrders(
        Order calldata offer,
        bytes calldata offerSignature,
        Order calldata bid,
        bytes calldata bidSignature
    ) external returns (bytes32 hash);

    /// @notice Pays a trade by the recorded reading of its meter: delivered energy at the price, the rest at the penalty.
    /// @dev Anyone may call, paused or not. Can never pay a trade twice, nor more than was locked.
    /// @param trade The trade, as `TradeOpened` showed it.
    function settleTrade(Trade calldata trade) external;

    /// @notice Refunds a trade whose time-out has passed without a reading.
    /// @dev Anyone may call, paused or not. Can never refund a trade that a recorded reading can settle.
    /// @param trade The trade, as `TradeOpened` showed it.
    function refundTrade(Trade calldata trade) external;

    /// @notice The EIP-712 hash of an order, for this market on this chain.
    /// @dev Anyone may call. Never changes state.
    /// @param order The order.
    /// @return What its maker signs.
    function hashOrder(Order calldata order) external view returns (bytes32);

    /// @notice How much of an order is taken.
    /// @dev Anyone may call. Never changes state.
    /// @param hash EIP-712 hash of the order.
    /// @return What was traded of it; the largest value if it is cancelled [Wh].
    function filledOf(bytes32 hash) external view returns (WattHour);

    /// @notice Whether money is locked for a trade.
    /// @dev Anyone may call. Never changes state.
    /// @param hash What names the trade.
    /// @return Whether it is open.
    function isOpen(bytes32 hash) external view returns (bool);
}
