// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Account} from "../types/Account.sol";
import {MicroEuro, WattHour} from "../types/Quantities.sol";

/// @title The market's escrow and its ledger of members' accounts
/// @notice Members' currency lies in one escrow and is booked to one account each, whichever way a trade or a
/// demand-response payment is settled. Balances are never negative, and their owners withdraw them at any time.
interface IMarketAccounts {
    /// @notice Currency was put into escrow for a member.
    /// @param member Index of the member.
    /// @param payer Address that the currency came from.
    /// @param amount Amount credited [micro-euro].
    event Deposited(uint32 indexed member, address indexed payer, MicroEuro amount);

    /// @notice A member took currency out of escrow.
    /// @param member Index of the member.
    /// @param amount Amount debited [micro-euro].
    event Withdrawn(uint32 indexed member, MicroEuro amount);

    /// @notice A member set the most that a settlement period may debit it.
    /// @param member Index of the member.
    /// @param limit The limit [micro-euro].
    event DebitLimitSet(uint32 indexed member, MicroEuro limit);

    /// @notice An amount that is not positive, or a limit that is negative.
    /// @param amount The amount [micro-euro].
    error MarketInvalidAmount(MicroEuro amount);

    /// @notice Two lists that belong together differ in length.
    /// @param members Number of members.
    /// @param amounts Number of amounts.
    error MarketInvalidLengths(uint256 members, uint256 amounts);

    /// @notice There is no member of this index.
    /// @param member The index.
    error MarketInvalidMember(uint32 member);

    /// @notice A member has less than it must pay, lock or wants to take out.
    /// @param member Index of the member.
    /// @param balance What it has [micro-euro].
    /// @param needed What it would need [micro-euro].
    error MarketInsufficientBalance(uint32 member, MicroEuro balance, MicroEuro needed);

    /// @notice Moves `amount` of the caller's currency into escrow, to the caller's own balance.
    /// @dev Only members may call, after approving this contract. Can never lower anybody's balance.
    /// @param amount Positive amount [micro-euro].
    function deposit(MicroEuro amount) external;

    /// @notice Like `deposit`, with an approval by signature (EIP-2612) for exactly `amount`.
    /// @dev Only members may call. Can never lower anybody's balance. A permit that somebody else used first does no harm.
    /// @param amount Positive amount [micro-euro].
    /// @param deadline Last moment of the permit, as Unix time [s].
    /// @param v Recovery identifier of the permit's signature.
    /// @param r First half of the permit's signature.
    /// @param s Second half of the permit's signature.
    function depositWithPermit(MicroEuro amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Moves the caller's currency into escrow, to the balances of several members.
    /// @dev Anyone may call, after approving this contract. Can never lower anybody's balance.
    /// @param members Indices to credit.
    /// @param amounts Positive amount for each [micro-euro].
    function depositFor(uint32[] calldata members, MicroEuro[] calldata amounts) external;

    /// @notice Moves `amount` from the caller's balance back to the caller's address.
    /// @dev Only members may call, at any time, paused or not; no role can stop it. Can never pay out more than the
    /// balance.
    /// @param amount Positive amount [micro-euro].
    function withdraw(MicroEuro amount) external;

    /// @notice Sets the most that each settlement period may debit the caller, netted or proven; zero at first.
    /// @dev Only members may call. Can never affect trades that the member signed or accepted itself.
    /// @param limit The limit, not negative [micro-euro].
    function setDebitLimit(MicroEuro limit) external;

    /// @notice Sets a member's debit limit by its EIP-712 signature `DebitLimit`.
    /// @dev Anyone may call. Can never use a signature twice, after its deadline, or out of the order of nonces.
    /// @param member Index of the member.
    /// @param limit The limit, not negative [micro-euro].
    /// @param deadline Last moment of the signature, as Unix time [s].
    /// @param signature The member's signature over its present nonce.
    function setDebitLimitFor(uint32 member, MicroEuro limit, uint64 deadline, bytes calldata signature) external;

    /// @notice Stops new trades and new settlements.
    /// @dev Only holders of `GUARDIAN_ROLE` may call. Can never stop deposits, withdrawals, readings, refunds, claims or
    /// disputes.
    function pause() external;

    /// @notice Allows new trades and new settlements again.
    /// @dev Only holders of `GUARDIAN_ROLE` may call. Can never move money.
    function unpause() external;

    /// @notice The currency in escrow.
    /// @dev Anyone may call. Never changes state.
    /// @return Address of the ERC-20 token.
    function currency() external view returns (address);

    /// @notice A member's account.
    /// @dev Anyone may call. Never changes state. A member without any history has an account of zeros.
    /// @param member Index of the member.
    /// @return balance What it owns, never negative [micro-euro].
    /// @return traded What it bought less what it sold, over all that was settled [Wh].
    /// @return limit The most that a settlement period may debit it [micro-euro].
    function accountOf(uint32 member) external view returns (MicroEuro balance, WattHour traded, MicroEuro limit);

    /// @notice Members' accounts, each in one word: 96 bits of balance, never negative [micro-euro], 96 bits of energy
    /// bought less energy sold [Wh], 64 bits of debit limit [micro-euro].
    /// @dev Anyone may call. Never changes state. Words, since a client reads them after every period.
    /// @param first Index of the first member.
    /// @param most How many to return, fewer if there are no more members.
    /// @return page One word a member, by index.
    function accounts(uint32 first, uint32 most) external view returns (Account[] memory page);

    /// @notice Locks money of both sides of a new direct trade.
    /// @dev Only `directTrades` may call, unless paused. Can never lock more than either balance holds.
    /// @param buyer Index of the buyer.
    /// @param cost What it must pay for full delivery [micro-euro].
    /// @param seller Index of the seller.
    /// @param collateral What it must pay for no delivery [micro-euro].
    function lockTrade(uint32 buyer, MicroEuro cost, uint32 seller, MicroEuro collateral) external;

    /// @notice Releases the money of a direct trade that ends.
    /// @dev Only `directTrades` may call, paused or not. Can never release more than is locked.
    /// @param buyer Index of the buyer.
    /// @param toBuyer What it gets [micro-euro].
    /// @param seller Index of the seller.
    /// @param toSeller What it gets [micro-euro].
    /// @param delivered What the seller delivered to the buyer [Wh].
    function releaseTrade(uint32 buyer, MicroEuro toBuyer, uint32 seller, MicroEuro toSeller, WattHour delivered)
        external;

    /// @notice What was put into escrow and not taken out: balances, locked money, pots and the bond together.
    /// @dev Anyone may call. Never changes state.
    /// @return Sum of all obligations [micro-euro].
    function totalEscrow() external view returns (MicroEuro);

    /// @notice The part of the escrow that open direct trades have locked.
    /// @dev Anyone may call. Never changes state.
    /// @return Sum over all open trades [micro-euro].
    function totalLocked() external view returns (MicroEuro);

    /// @notice The contract of direct trades and meter readings, which the market deployed with itself.
    /// @dev Anyone may call. Never changes state.
    /// @return Address of the contract.
    function directTrades() external view returns (address);
}
