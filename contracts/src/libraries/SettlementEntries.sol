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

    /// @notice Returns the entry that starts at byte `offset`; reverts if it would end beyond `entries`.
    /// @param entries The packed batch.
    /// @param offset First byte of the entry, a multiple of 20 [bytes].
    /// @return member Member index.
    /// @return amount Amount to debit, negative to credit [micro-euro].
    /// @return traded Energy bought, negative if sold [Wh].
    function read(bytes calldata entries, uint256 offset)
        internal
        pure
        returns (uint32 member, int64 amount, int64 traded)
    {
        bytes20 entry = bytes20(entries[offset:offset + ENTRY_BYTES]);
        member = uint32(bytes4(entry));
        amount = int64(uint64(bytes8(entry << 32)));
        traded = int64(uint64(bytes8(entry << 96)));
    }
}
