//! The wire format of protocol buffers: numbered fields, each a number or a run of bytes.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A varint, or 32 or 64 bits.
    Number(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
}

/// Reads fields one after another.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field: its number and what it holds; None at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Item<'a>)>, &'static str> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let item = match tag & 7 {
            0 => Item::Number(self.varint()?),
            1 => Item::Number(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| "a field is too long")?;
                Item::Bytes(self.take(length)?)
            }
            5 => Item::Number(u32::from_le_bytes(self.fixed()?).into()),
            _ => return Err("a field has a type that is not known"),
        };
        Ok(Some((tag >> 3, item)))
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed()?;
            let bits = u64::from(byte & 0x7f);
            // Of the tenth byte one bit is left.
            if shift == 63 && bits > 1 {
                return Err("a number is too large");
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number is too long")
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or("it ends too early")?;
        self.0 = tail;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (head, tail) = self.0.split_at_checked(length).ok_or("it ends too early")?;
        self.0 = tail;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_type_is_read_and_nothing_beyond_the_end() {
        let mut reader = Reader::new(b"\x08\xac\x02\x12\x02hi\x19\x01\0\0\0\0\0\0\0\x25\x02\0\0\0");
        assert_eq!(reader.next(), Ok(Some((1, Item::Number(300)))));
        assert_eq!(reader.next(), Ok(Some((2, Item::Bytes(b"hi")))));
        assert_eq!(reader.next(), Ok(Some((3, Item::Number(1)))));
        assert_eq!(reader.next(), Ok(Some((4, Item::Number(2)))));
        assert_eq!(reader.next(), Ok(None));
        let eleven: &[u8] = &[0xff; 11];
        let large: &[u8] = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";
        for torn in [b"\x08".as_slice(), b"\x12\x05hi", b"\x0b", b"\x09\0", eleven, large] {
            assert!(Reader::new(torn).next().is_err(), "{torn:?}");
        }
    }
}
