//! Value representations and transfer syntaxes.

/// A value representation (PS3.5 section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, clippy::upper_case_acronyms, reason = "the names are those of PS3.5")]
#[rustfmt::skip]
pub enum Vr {
    AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, OB, OD, OF, OL, OV, OW, PN, SH, SL, SQ, SS, ST, SV, TM, UC, UI, UL,
    UN, UR, US, UT, UV,
}

/// Every value representation with its two letters.
#[rustfmt::skip]
const NAMES: &[(Vr, [u8; 2])] = &[
    (Vr::AE, *b"AE"), (Vr::AS, *b"AS"), (Vr::AT, *b"AT"), (Vr::CS, *b"CS"), (Vr::DA, *b"DA"), (Vr::DS, *b"DS"),
    (Vr::DT, *b"DT"), (Vr::FD, *b"FD"), (Vr::FL, *b"FL"), (Vr::IS, *b"IS"), (Vr::LO, *b"LO"), (Vr::LT, *b"LT"),
    (Vr::OB, *b"OB"), (Vr::OD, *b"OD"), (Vr::OF, *b"OF"), (Vr::OL, *b"OL"), (Vr::OV, *b"OV"), (Vr::OW, *b"OW"),
    (Vr::PN, *b"PN"), (Vr::SH, *b"SH"), (Vr::SL, *b"SL"), (Vr::SQ, *b"SQ"), (Vr::SS, *b"SS"), (Vr::ST, *b"ST"),
    (Vr::SV, *b"SV"), (Vr::TM, *b"TM"), (Vr::UC, *b"UC"), (Vr::UI, *b"UI"), (Vr::UL, *b"UL"), (Vr::UN, *b"UN"),
    (Vr::UR, *b"UR"), (Vr::US, *b"US"), (Vr::UT, *b"UT"), (Vr::UV, *b"UV"),
];

impl Vr {
    /// The value representation of these two letters.
    pub fn of(letters: [u8; 2]) -> Option<Self> {
        NAMES.iter().find(|(_, name)| *name == letters).map(|(vr, _)| *vr)
    }

    /// The two letters.
    pub fn letters(self) -> [u8; 2] {
        NAMES.iter().find(|(vr, _)| *vr == self).map_or(*b"UN", |(_, name)| *name)
    }

    /// True if an explicit file stores the length in four bytes, after two reserved ones.
    pub fn has_long_length(self) -> bool {
        use Vr::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
        matches!(self, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
    }

    /// True for text in the character set of the data set.
    pub fn has_charset(self) -> bool {
        matches!(self, Self::LO | Self::LT | Self::PN | Self::SH | Self::ST | Self::UC | Self::UT)
    }

    /// Bytes of one value that big-endian files store in reverse; 1 for text and bytes.
    pub fn width(self) -> usize {
        match self {
            Self::US | Self::SS | Self::OW | Self::AT => 2,
            Self::UL | Self::SL | Self::FL | Self::OF | Self::OL => 4,
            Self::FD | Self::OD | Self::OV | Self::SV | Self::UV => 8,
            _ => 1,
        }
    }

    /// The byte that fills up an odd length.
    pub fn padding(self) -> u8 {
        match self {
            Self::UI | Self::OB | Self::UN => 0,
            _ if self.width() > 1 => 0,
            _ => b' ',
        }
    }
}

/// How a file encodes its elements and pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Elements without value representations, little-endian. Pixels are not compressed.
    Implicit,
    /// Elements with value representations, little-endian. Pixels are not compressed.
    Explicit,
    /// As [`Syntax::Explicit`], with the most significant byte first.
    BigEndian,
    /// As [`Syntax::Explicit`], everything after the file meta information deflated.
    Deflated,
    /// As [`Syntax::Explicit`], each frame deflated.
    DeflatedFrames,
    /// Run-length encoded frames.
    Rle,
    /// JPEG: baseline, extended, lossless.
    Jpeg,
    /// JPEG-LS, lossless or near-lossless.
    JpegLs,
    /// JPEG 2000 and High-Throughput JPEG 2000.
    Jpeg2000,
    /// Another syntax, of encapsulated frames.
    Other,
}

/// UID, syntax and name of the transfer syntaxes that are known, read or not.
#[rustfmt::skip]
const SYNTAXES: &[(&str, Syntax, &str)] = &[
    ("1.2.840.10008.1.2", Syntax::Implicit, "Implicit VR Little Endian"),
    ("1.2.840.10008.1.2.1", Syntax::Explicit, "Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.1.98", Syntax::Other, "Encapsulated Uncompressed Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.1.99", Syntax::Deflated, "Deflated Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.2", Syntax::BigEndian, "Explicit VR Big Endian"),
    ("1.2.840.10008.1.2.5", Syntax::Rle, "RLE Lossless"),
    ("1.2.840.10008.1.2.8.1", Syntax::DeflatedFrames, "Deflated Image Frame Compression"),
    ("1.2.840.10008.1.2.4.50", Syntax::Jpeg, "JPEG Baseline"),
    ("1.2.840.10008.1.2.4.51", Syntax::Jpeg, "JPEG Extended"),
    ("1.2.840.10008.1.2.4.57", Syntax::Jpeg, "JPEG Lossless"),
    ("1.2.840.10008.1.2.4.70", Syntax::Jpeg, "JPEG Lossless SV1"),
    ("1.2.840.10008.1.2.4.80", Syntax::JpegLs, "JPEG-LS Lossless"),
    ("1.2.840.10008.1.2.4.81", Syntax::JpegLs, "JPEG-LS Near-Lossless"),
    ("1.2.840.10008.1.2.4.90", Syntax::Jpeg2000, "JPEG 2000 Lossless"),
    ("1.2.840.10008.1.2.4.91", Syntax::Jpeg2000, "JPEG 2000"),
    ("1.2.840.10008.1.2.4.201", Syntax::Jpeg2000, "HTJ2K Lossless"),
    ("1.2.840.10008.1.2.4.202", Syntax::Jpeg2000, "HTJ2K Lossless RPCL"),
    ("1.2.840.10008.1.2.4.203", Syntax::Jpeg2000, "HTJ2K"),
    ("1.2.840.10008.1.2.4.100", Syntax::Other, "MPEG2 Main Profile, Main Level"),
    ("1.2.840.10008.1.2.4.101", Syntax::Other, "MPEG2 Main Profile, High Level"),
    ("1.2.840.10008.1.2.4.102", Syntax::Other, "MPEG-4 AVC/H.264 High Profile"),
    ("1.2.840.10008.1.2.4.103", Syntax::Other, "MPEG-4 AVC/H.264 BD-compatible High Profile"),
    ("1.2.840.10008.1.2.4.107", Syntax::Other, "HEVC/H.265 Main Profile"),
    ("1.2.840.10008.1.2.4.110", Syntax::Other, "JPEG XL Lossless"),
    ("1.2.840.10008.1.2.4.111", Syntax::Other, "JPEG XL JPEG Recompression"),
    ("1.2.840.10008.1.2.4.112", Syntax::Other, "JPEG XL"),
];

impl Syntax {
    /// The syntax of a UID. Unknown ones are explicit little-endian with encapsulated pixels, as PS3.5 demands.
    pub fn of(uid: &str) -> Self {
        SYNTAXES.iter().find(|entry| entry.0 == uid).map_or(Self::Other, |entry| entry.1)
    }

    /// The name of a transfer syntax UID, or the UID itself.
    pub fn name(uid: &str) -> &str {
        SYNTAXES.iter().find(|entry| entry.0 == uid).map_or(uid, |entry| entry.2)
    }
}
