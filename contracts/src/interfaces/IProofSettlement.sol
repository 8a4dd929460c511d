// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Line, Settlement, SignedMandate, TradeLeaf} from "../types/MarketTypes.sol";
import {MicroEuro} from "../types/Quantities.sol";

/// @title Settlement of a period by one Merkle root over its trades and balances
/// @notice Money moves when lines are claimed, after the challenge window: debits fill the period's pot, and credits are
/// paid out of the pot only, so that no root can create money. A debit beyond the member's limit or balance waits; so do
/// the credits that it would have paid, first come first served, until the debtor's balance suffices.
interface IProofSettlement {
    /// @notice A root was posted for a period.
    /// @param period The period.
    /// @param root The Merkle root; the block's time is the settlement's.
    event RootPosted(uint64 indexed period, bytes32 root);

    /// @notice A root was proven wrong; the period can be settled again.
    /// @param period The period.
    /// @param root The Merkle root.
    event RootVoided(uint64 indexed period, bytes32 root);

    /// @notice A member's line was booked.
    /// @param period The period.
    /// @param member Index of the member.
    /// @param amount What it paid; negative was received [micro-euro].
    event LineClaimed(uint64 indexed period, uint32 indexed member, MicroEuro amount);

    /// @notice A root that is zero.
    error MarketInvalidRoot();

    /// @notice The leaves are not in the period's tree.
    /// @param period The period.
    error MarketInvalidProof(uint64 period);

    /// @notice A credit that the debits claimed so far do not cover.
    /// @param pot What the period's pot holds [micro-euro].
    /// @param needed What it would need [micro-euro].
    error MarketPotTooSmall(MicroEuro pot, MicroEuro needed);

    /// @notice Posts the Merkle root of a period that is over.
    /// @dev Only the bonded operator may call, unless paused. Can never settle a period twice, nor move money by itself.
    /// @param period The period.
    /// @param root The Merkle root, not zero.
    function postRoot(uint64 period, bytes32 root) external;

    /// @notice Proves that a balance leaf breaks its member's mandate: voids the root, pays minimum bond or what is left
    /// of the bond to the member.
    /// @dev Anyone may call, paused or not, within the challenge window. Can never take money of other members.
    /// @param settlement How the period was settled.
    /// @param line The balance leaf.
    /// @param proof Its Merkle proof.
    /// @param evidence The member's mandate.
    function challengeByMandate(
        Settlement calldata settlement,
        Line calldata line,
        bytes32[] calldata proof,
        SignedMandate calldata evidence
    ) external;

    /// @notice Proves that a balance leaf trades more than the member's meter recorded: voids the root, pays minimum bond
    /// or what is left of the bond to the member.
    /// @dev Anyone may call, paused or not, within the challenge window and once the reading of the member's present meter
    /// is recorded. Can never take money of other members.
    /// @param settlement How the period was settled.
    /// @param line The balance leaf.
    /// @param proof Its Merkle proof.
    function challengeByReading(Settlement calldata settlement, Line calldata line, bytes32[] calldata proof) external;

    /// @notice Books a member's line after the challenge window.
    /// @dev Anyone may call for any member, paused or not. Can never book a line twice, exceed the member's limit or
    /// balance, or pay more than the pot holds.
    /// @param settlement How the period was settled.
    /// @param line The balance leaf.
    /// @param proof Its Merkle proof.
    function claim(Settlement calldata settlement, Line calldata line, bytes32[] calldata proof) external;

    /// @notice Books the lines of many members, debits first; skips those that are booked already or cannot be booked yet.
    /// @dev Anyone may call, paused or not. Can never do what `claim` cannot.
    /// @param settlement How the period was settled.
    /// @param lines The balance leaves, in the order of the multiproof.
    /// @param proof Nodes of the multiproof.
    /// @param flags Flags of the multiproof: whether each step takes a leaf or computed node, or one of `proof`.
    /// @return booked Number of lines that were booked.
    function claimMany(
        Settlement calldata settlement,
        Line[] calldata lines,
        bytes32[] calldata proof,
        bool[] calldata flags
    ) external returns (uint256 booked);

    /// @notice Whether a trade is in a period's tree.
    /// @dev Anyone may call. Never changes state.
    /// @param settlement How the period was settled.
    /// @param trade The trade leaf.
    /// @param proof Its Merkle proof.
    /// @return Whether the period was settled so, and holds the trade.
    function verifyTrade(Settlement calldata settlement, TradeLeaf calldata trade, bytes32[] calldata proof)
        external
        view
        returns (bool);

    /// @notice What debits have put into a period's pot and credits have not taken.
    /// @dev Anyone may call. Never changes state.
    /// @param period The period.
    /// @return What the pot holds, never negative [micro-euro].
    function potOf(uint64 period) external view returns (MicroEuro);
}
