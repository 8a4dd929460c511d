// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MicroEuro} from "../types/Quantities.sol";

/// @title The one seat of the operator, and the bond that it settles with
/// @notice One operator at a time settles periods. It holds a bond in escrow, out of which proven breaches are paid, and
/// gets it back one challenge window after it has stopped settling.
interface IOperatorSeat {
    /// @notice The operator's bond grew.
    /// @param operator The operator.
    /// @param amount What was added [micro-euro].
    event BondPosted(address indexed operator, MicroEuro amount);

    /// @notice The operator stopped settling; its bond is released later.
    /// @param operator The operator.
    /// @param releaseAt From when the bond can be withdrawn, as Unix time [s].
    event OperatorLeaving(address indexed operator, uint64 releaseAt);

    /// @notice The operator got its bond back and the seat is free.
    /// @param operator The operator.
    /// @param amount What was left of the bond [micro-euro].
    event BondWithdrawn(address indexed operator, MicroEuro amount);

    /// @notice A proven breach was paid out of the bond.
    /// @param operator The operator.
    /// @param member Index of the member that the breach was against, and that was paid.
    /// @param amount What was paid [micro-euro].
    event BondSlashed(address indexed operator, uint32 indexed member, MicroEuro amount);

    /// @notice Somebody else holds the seat.
    /// @param operator Who holds it.
    error MarketSeatTaken(address operator);

    /// @notice The caller does not hold the seat, is leaving it, or its bond is below the minimum.
    /// @param account The caller.
    error MarketNotSettling(address account);

    /// @notice The operator still holds its role, so only the operator itself can leave the seat.
    /// @param operator The operator.
    error MarketOperatorInOffice(address operator);

    /// @notice The bond is not released yet.
    /// @param releaseAt From when it can be withdrawn, as Unix time [s]; zero if nobody is leaving.
    error MarketBondHeld(uint64 releaseAt);

    /// @notice Adds to the caller's bond, and takes the seat if it is free.
    /// @dev Only holders of `OPERATOR_ROLE` may call, after approving the currency. Can never push anybody off the seat.
    /// @param amount Positive amount [micro-euro].
    function postBond(MicroEuro amount) external;

    /// @notice Stops the caller from settling and starts the release of its bond.
    /// @dev Only the operator on the seat may call. Can never shorten the time in which its settlements can be disputed.
    function leaveSeat() external;

    /// @notice Does the same to an operator that has lost its role.
    /// @dev Anyone may call. Can never dismiss an operator that holds `OPERATOR_ROLE`.
    function dismissOperator() external;

    /// @notice Pays a released bond back to the operator that posted it, and frees the seat.
    /// @dev Anyone may call, once the release time has come. Can never pay anybody but that operator.
    function withdrawBond() external;

    /// @notice Who holds the seat.
    /// @dev Anyone may call. Never changes state.
    /// @return operator The operator; the zero address if the seat is free.
    /// @return bond What its bond is [micro-euro].
    /// @return releaseAt From when the bond can be withdrawn, as Unix time [s]; zero unless the operator is leaving.
    function seat() external view returns (address operator, MicroEuro bond, uint64 releaseAt);
}
