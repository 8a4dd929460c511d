// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

import {ISettlementCurrency} from "./interfaces/ISettlementCurrency.sol";

/// @title Settlement euro
/// @notice ERC-20 whose supply is what its minters created; nobody can pause, burn or seize units. Holders may approve by
/// signature (EIP-2612).
contract SettlementCurrency is ISettlementCurrency, ERC20Permit, AccessControl {
    /// @inheritdoc ISettlementCurrency
    bytes32 public constant override MINTER_ROLE = keccak256("MINTER_ROLE");

    /// @notice Deploys the currency without any supply.
    /// @param admin Who may grant and revoke roles, and mints at first; not the zero address.
    constructor(address admin) ERC20("Settlement Euro", "SEUR") ERC20Permit("Settlement Euro") {
        if (admin == address(0)) revert ERC20InvalidReceiver(admin);
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(MINTER_ROLE, admin);
    }

    /// @inheritdoc ISettlementCurrency
    function mint(address account, uint256 amount) external override onlyRole(MINTER_ROLE) {
        _mint(account, amount);
    }

    /// @notice Returns the number of decimals: one unit is one micro-euro.
    /// @dev Anyone may call. Never changes state.
    /// @return Always 6.
    function decimals() public pure override(ERC20, IERC20Metadata) returns (uint8) {
        return 6;
    }
}
