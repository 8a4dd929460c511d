// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Signatures and roles that a market's contracts ask for
interface IMarketSignatures {
    /// @notice The market is deployed without one of its parts, or on terms that make no sense.
    error MarketInvalidTerms();

    /// @notice An address does not hold the role that is needed.
    /// @param account The address.
    /// @param role The role.
    error MarketUnauthorizedAccount(address account, bytes32 role);

    /// @notice A signature that is not the named signer's over this data, for this market on this chain.
    /// @param signer Who should have signed.
    error MarketInvalidSignature(address signer);

    /// @notice A signature or order that is past its time.
    /// @param expiry Its last moment, as Unix time [s].
    error MarketExpired(uint64 expiry);

    /// @notice A period that has not ended yet, so it can be neither metered nor settled.
    /// @param period The period.
    error MarketPeriodNotOver(uint64 period);

    /// @notice The registry of members, meters and roles.
    /// @dev Anyone may call. Never changes state.
    /// @return Address of the registry.
    function registry() external view returns (address);
}
