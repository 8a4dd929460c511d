// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IMarketSignatures} from "../interfaces/IMarketSignatures.sol";
import {IMemberRegistry} from "../interfaces/IMemberRegistry.sol";

/// @title Whose signature counts
/// @dev Signers may be contracts (ERC-1271). Signatures of keys are checked for malleability; nothing here is keyed by a
/// signature, so a second form of one would not help anybody.
abstract contract MarketSignatures is EIP712, IMarketSignatures {
    IMemberRegistry internal immutable _registry;
    bytes32 private immutable _oracleRole;

    /// @dev Takes the EIP-712 name of the contract and the registry, which may not be the zero address.
    constructor(string memory name, address members) EIP712(name, "1") {
        if (members == address(0)) revert MarketInvalidTerms();
        _registry = IMemberRegistry(members);
        _oracleRole = _registry.ORACLE_ROLE();
    }

    /// @inheritdoc IMarketSignatures
    function registry() external view override returns (address) {
        return address(_registry);
    }

    /// @dev Reverts unless `signer` signed this struct hash for this contract on this chain.
    function _requireSignature(address signer, bytes32 structHash, bytes calldata signature) internal view {
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, _hashTypedDataV4(structHash), signature)) {
            revert MarketInvalidSignature(signer);
        }
    }

    /// @dev Reverts unless an oracle in office signed this struct hash.
    function _requireOracle(address oracle, bytes32 structHash, bytes calldata signature) internal view {
        if (!_registry.hasRole(_oracleRole, oracle)) revert MarketUnauthorizedAccount(oracle, _oracleRole);
        _requireSignature(oracle, structHash, signature);
    }
}
