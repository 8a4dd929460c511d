// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Reader of packed settlement entries
/// @notice A batch is a string of 20-byte entries, big-endian, without padding:
///
/// | bytes  | type   | meaning                                              |
/// |--------|--------|------------------------------------------------------|
/// | 0..3   | uint32 | member index                                         |
/// | 4..11  | int64  | amount [micro-euro], positive is debited             |
/// | 12..19 | int64  | traded energy [Wh], positive is bought               |
library SettlementEntries {
    /// @dev Length of one entry [bytes].
    uint256 internal constant ENTRY_BYTES = 20;

    /// @notice Returns the entry that starts at byte `offset`, which must lie within `entries` as a whole.
    /// @param entries The packed batch.
    /// @param offset First byte of the entry, a multiple of 20 [bytes].
    /// @return member Member index.
    /// @return amount Amount to debit, negative to credit [micro-euro]; of 64 bits.
    /// @return traded Energy bought, negative if sold [Wh]; of 64 bits.
    function read(bytes calldata entries, uint256 offset)
        internal
        pure
        returns (uint32 member, int256 amount, int256 traded)
    {
        uint256 word;
        // A slice would check its bounds again for each entry, at 130 gas; whoever calls has checked the whole.
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            word := calldataload(add(entries.offset, offset))
        }
        member = uint32(word >> 224);
        amount = int256(word << 32) >> 192;
        traded = int256(word << 96) >> 192;
    }
}
