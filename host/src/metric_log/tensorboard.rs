//! TensorBoard event files, one folder a stage: `tensorboard/<stage>/events.out.tfevents.…`.
//!
//! A file is a sequence of records: length (u64), masked CRC-32C of the length, an `Event` message,
//! masked CRC-32C of the message, all little-endian. `Event` is Protocol Buffers: 1 wall_time
//! (double), 2 step (int64), 3 file_version (string), 5 summary, 7 session_log. `Summary` holds 1
//! value: 1 tag (string), 2 simple_value (float). Source: tensorflow/core/lib/io/record_writer.cc
//! and core/util/event.proto.

use super::{Event, MetricError, Result, Subscriber};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes each stage's metrics as a TensorBoard run of that name.
pub struct TensorBoard {
    folder: PathBuf,
    files: HashMap<String, File>,
}

impl TensorBoard {
    /// Writes below `folder`; a stage's file is created by its first event.
    pub fn new(folder: &Path) -> Self {
        let (folder, files) = (folder.to_owned(), HashMap::new());
        Self { folder, files }
    }

    fn write(&mut self, stage: &str, time: f64, message: &[u8]) -> Result<()> {
        let folder = self.folder.join(stage);
        let written = match self.files.get_mut(stage) {
            Some(file) => file.write_all(&record(message)),
            None => start(&folder, time).and_then(|mut file| {
                file.write_all(&record(message))?;
                self.files.insert(stage.to_owned(), file);
                Ok(())
            }),
        };
        written.map_err(MetricError::writing(&folder))
    }
}

impl Subscriber for TensorBoard {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.write(&event.stage, event.time, &scalars(event))
    }

    /// TensorBoard drops what has the same or a later step when it meets a session's start.
    fn rewind(&mut self, stage: &str, next: u64) -> Result<()> {
        if !self.folder.join(stage).exists() {
            return Ok(());
        }
        let time = super::now();
        self.write(stage, time, &session_start(time, next))
    }
}

/// A new file: its number keeps it apart from those of the same second, and in order.
fn start(folder: &Path, time: f64) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let count = fs::read_dir(folder)?.count();
    let name = format!("events.out.tfevents.{time:010.0}.prorl.{count}");
    let mut file = OpenOptions::new().create_new(true).append(true).open(folder.join(name))?;
    let mut version = Message::default();
    version.double(1, time);
    version.bytes(3, b"brain.Event:2");
    file.write_all(&record(&version.0))?;
    Ok(file)
}

fn scalars(event: &Event) -> Vec<u8> {
    let mut summary = Message::default();
    for (name, value) in &event.values {
        let mut entry = Message::default();
        entry.bytes(1, name.as_bytes());
        entry.float(2, *value as f32);
        summary.bytes(1, &entry.0);
    }
    let mut message = Message::default();
    message.double(1, event.time);
    message.integer(2, event.step);
    message.bytes(5, &summary.0);
    message.0
}

fn session_start(time: f64, step: u64) -> Vec<u8> {
    let mut session = Message::default();
    session.integer(1, 1);
    let mut message = Message::default();
    message.double(1, time);
    message.integer(2, step);
    message.bytes(7, &session.0);
    message.0
}

/// A Protocol Buffers message in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(message.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(message);
    record.extend(masked_crc(message).to_le_bytes());
    record
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), bit by bit: records are small.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = (crc >> 1) ^ (0x82F6_3B78 * low);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn crc_as_published() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }

    #[test]
    fn a_message_as_protocol_buffers_encode_it() {
        let values = BTreeMap::from([("loss".to_owned(), 0.5)]);
        let event = Event { stage: "rl".into(), step: 300, epoch: 0, time: 1.5, values };
        let expected = [
            0x09, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F, // wall_time 1.5
            0x10, 0xAC, 0x02, // step 300
            0x2A, 13, // summary
            0x0A, 11, 0x0A, 4, b'l', b'o', b's', b's', 0x15, 0, 0, 0, 0x3F,
        ];
        assert_eq!(scalars(&event), expected);
        assert_eq!(session_start(1.5, 3)[9..], [0x10, 3, 0x3A, 2, 0x08, 1]);
    }

    #[test]
    fn a_file_is_a_version_and_then_its_events() {
        let folder = tempfile::tempdir().unwrap();
        let values = BTreeMap::from([("loss".to_owned(), f64::NAN)]);
        let event = Event { stage: "rl".into(), step: 1, epoch: 0, time: 1.5, values };
        let mut board = TensorBoard::new(folder.path());
        board.rewind("rl", 0).unwrap();
        board.event(&event).unwrap();
        board.event(&event).unwrap();
        board.rewind("rl", 1).unwrap();
        let mut resumed = TensorBoard::new(folder.path());
        resumed.rewind("rl", 1).unwrap();
        let mut files: Vec<_> = fs::read_dir(folder.path().join("rl")).unwrap().collect();
        assert_eq!(files.len(), 2);
        files.sort_by_key(|file| file.as_ref().unwrap().file_name());
        let bytes = fs::read(files[0].as_ref().unwrap().path()).unwrap();
        assert_eq!(messages(&bytes).len(), 4);
        assert!(messages(&bytes)[0].ends_with(b"brain.Event:2"));
        assert_eq!(messages(&bytes)[1], scalars(&event));
    }

    /// The messages of a file, their checks compared.
    fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let message = bytes[12..12 + length].to_vec();
            assert_eq!(&bytes[..16 + length], record(&message));
            messages.push(message);
            bytes = &bytes[16 + length..];
        }
        messages
    }
}
