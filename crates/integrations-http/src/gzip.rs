//! Decompression that cannot be blown up.

use std::io::{self, Write};

use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;
use integrations_core::{TransportError, TransportFailure};

/// Compressed bytes inflated at a time. DEFLATE expands at most 1032-fold, so one step makes at most 4.2 MB,
/// however little has been refused so far.
const STEP: usize = 4 * 1024;

/// Below this size any ratio is harmless; a short answer of zeros has a high one.
const RATIO_FREE: u64 = 1024 * 1024;

/// Real answers stay far below; a bomb comes close to DEFLATE's 1032.
const MAX_RATIO: u64 = 1000;

/// A gzip stream, inflated in bounded steps.
pub(crate) struct Inflate {
    decoder: MultiGzDecoder<Sink>,
    input: Bytes,
}

impl Inflate {
    /// `limit` is the most that may come out, in bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let sink = Sink { out: Vec::new(), taken: 0, made: 0, limit, refused: None };
        Self { decoder: MultiGzDecoder::new(sink), input: Bytes::new() }
    }

    /// Takes the next compressed chunk; the one before must have been used up by [`Inflate::step`].
    pub(crate) fn feed(&mut self, chunk: Bytes) {
        self.input = chunk;
    }

    /// Inflates some of the input: `None` when more is needed.
    pub(crate) fn step(&mut self) -> Result<Option<Bytes>, TransportError> {
        while self.input.has_remaining() {
            let step = self.input.split_to(self.input.len().min(STEP));
            self.decoder.get_mut().taken += step.len() as u64;
            let outcome = self.decoder.write_all(&step);
            // The decoder holds output back until the next write or flush.
            let outcome = outcome.and_then(|()| self.decoder.flush());
            outcome.map_err(|_| self.failure())?;
            if let Some(out) = self.decoder.get_mut().take() {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }

    /// The last output, after all input. An answer that ends inside the compressed data is an error; one that has
    /// no byte at all is empty, as servers send it with 204 or HEAD.
    pub(crate) fn finish(&mut self) -> Result<Option<Bytes>, TransportError> {
        if self.decoder.get_ref().taken > 0 {
            self.decoder.try_finish().map_err(|_| self.failure())?;
        }
        Ok(self.decoder.get_mut().take())
    }

    fn failure(&mut self) -> TransportError {
        let broken = || {
            let message = "the answer's gzip data is corrupt or cut short";
            TransportError::new(TransportFailure::BadResponse, true, message)
        };
        self.decoder.get_mut().refused.take().unwrap_or_else(broken)
    }
}

struct Sink {
    out: Vec<u8>,
    taken: u64,
    made: u64,
    limit: usize,
    refused: Option<TransportError>,
}

impl Sink {
    fn take(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out).into())
    }

    fn refusal(&self) -> Option<TransportError> {
        if self.made > self.limit as u64 {
            return Some(TransportError::too_large(self.limit));
        }
        let bomb = self.made > RATIO_FREE && self.made / MAX_RATIO > self.taken;
        bomb.then(|| {
            let message = format!("the answer expands more than {MAX_RATIO}-fold: a decompression bomb");
            TransportError::new(TransportFailure::BadResponse, true, message)
        })
    }
}

impl Write for Sink {
    fn write(&mut self, inflated: &[u8]) -> io::Result<usize> {
        self.made += inflated.len() as u64;
        if let Some(refused) = self.refusal() {
            self.refused = Some(refused);
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.out.extend_from_slice(inflated);
        Ok(inflated.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflates `packed` in chunks; also returns the largest single output.
    fn inflate(packed: &[u8], chunk: usize, limit: usize) -> Result<(Vec<u8>, usize), TransportError> {
        let mut inflate = Inflate::new(limit);
        let (mut plain, mut largest) = (Vec::new(), 0);
        for part in packed.chunks(chunk) {
            inflate.feed(Bytes::copy_from_slice(part));
            while let Some(out) = inflate.step()? {
                largest = largest.max(out.len());
                plain.extend_from_slice(&out);
            }
        }
        plain.extend_from_slice(&inflate.finish()?.unwrap_or_default());
        Ok((plain, largest))
    }

    proptest! {
        #[test]
        fn whatever_was_packed_comes_out(plain in prop::collection::vec(any::<u8>(), 0..20_000), chunk in 1usize..9000) {
            let (out, _) = inflate(&gzip(&plain), chunk, 20_000).unwrap();
            prop_assert_eq!(out, plain);
        }

        #[test]
        fn a_cut_is_always_seen(plain in prop::collection::vec(any::<u8>(), 1..2000), cut in any::<prop::sample::Index>()) {
            let packed = gzip(&plain);
            let kept = cut.index(packed.len() - 1) + 1;
            let e = inflate(&packed[..kept], 64, 20_000).unwrap_err();
            prop_assert_eq!(e.failure(), TransportFailure::BadResponse);
        }
    }

    #[test]
    fn members_in_a_row_are_one_text_and_garbage_is_refused() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(inflate(&two, 7, 100).unwrap().0, b"one two");
        assert!(inflate(b"not gzip at all", 7, 100).is_err());
        assert!(inflate(b"", 7, 100).unwrap().0.is_empty());
    }

    #[test]
    fn the_limit_is_exact() {
        let packed = gzip(&[7; 1000]);
        assert_eq!(inflate(&packed, 10, 1000).unwrap().0.len(), 1000);
        assert!(inflate(&packed, 10, 999).unwrap_err().to_string().contains("999 bytes"));
    }

    #[test]
    fn a_bomb_is_refused_by_its_ratio_and_never_buffered() {
        let mut bomb = Vec::new();
        flate2::read::GzEncoder::new(io::repeat(0).take(64 << 20), Compression::best())
            .read_to_end(&mut bomb)
            .unwrap();
        let e = inflate(&bomb, bomb.len(), usize::MAX).unwrap_err();
        assert!(e.to_string().contains("bomb"), "{e}");
    }

    #[test]
    fn one_step_stays_small() {
        let mut plain = vec![0u8; 32 << 20];
        for (index, byte) in plain.iter_mut().enumerate().step_by(4000) {
            *byte = index as u8;
        }
        let (out, largest) = inflate(&gzip(&plain), usize::MAX, plain.len()).unwrap();
        assert_eq!(out.len(), plain.len());
        assert!(largest <= STEP * 1032, "{largest}");
    }
}
