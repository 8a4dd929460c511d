// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title The currency that settlements are paid in
/// @notice An ERC-20 token with 6 decimals: one token is one euro, one unit is one micro-euro.
interface ISettlementCurrency is IERC20Metadata {
    /// @notice The role that may mint.
    /// @dev Anyone may call. Never changes state.
    /// @return The identifier of the role.
    function MINTER_ROLE() external view returns (bytes32);

    /// @notice Creates `amount` units for `account`.
    /// @dev Only holders of `MINTER_ROLE` may call. Can never touch anybody's existing units, nor destroy any.
    /// @param account Who receives the units; not the zero address.
    /// @param amount Units to create [micro-euro].
    function mint(address account, uint256 amount) external;
}
