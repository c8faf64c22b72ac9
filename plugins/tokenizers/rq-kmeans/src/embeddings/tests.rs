#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use proptest::prelude::*;

/// A `.npy` file with the given header.
fn npy(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn header(descr: &str, rows: u64, columns: u64) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}   \n")
}

fn catalogue(items: usize) -> Catalogue {
    let none = || Tensor::zeros([0], (Kind::Int64, Device::Cpu));
    Catalogue {
        raw_ids: (0..=items).map(|item| format!("raw{item}")).collect(),
        attribute_offsets: none(),
        attribute_values: none(),
        sequence_offsets: none(),
        sequence_items: none(),
        semantic_ids: None,
        embeddings: None,
    }
}

/// `read` of `bytes` for `items` items.
fn read_bytes(name: &str, bytes: &[u8], tensor: Option<&str>, items: usize) -> Result<Tensor> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path, tensor, &catalogue(items))
}

fn refused(name: &str, bytes: &[u8], tensor: Option<&str>, parts: &[&str]) {
    let message = read_bytes(name, bytes, tensor, 2).unwrap_err().to_string();
    for part in parts.iter().chain(&[name]) {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten(0, -1).try_into().unwrap()
}

fn safetensors_file(tensors: &[(&str, safetensors::Dtype, Vec<usize>, &[u8])]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap();
        (*name, view)
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn every_version_and_width_of_npy_is_read() {
    let doubles: Vec<u8> = [1f64, -2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    let halves = [0x00, 0x3c, 0x00, 0xc1]; // 1, −2.5
    for version in 1..=3 {
        for (descr, data) in [("<f4", bytes_of(&[1.0, -2.5])), ("<f8", doubles.clone()), ("<f2", halves.to_vec())] {
            let file = npy(version, &header(descr, 2, 1), &data);
            assert_eq!(numbers(&read_bytes("x.npy", &file, None, 2).unwrap()), [1.0, -2.5]);
        }
    }
}

#[test]
fn a_padding_row_is_left_out() {
    let file = npy(1, &header("<f4", 3, 1), &bytes_of(&[f32::NAN, 1.0, 2.0]));
    assert_eq!(numbers(&read_bytes("x.npy", &file, None, 2).unwrap()), [1.0, 2.0]);
}

#[test]
fn what_is_wrong_with_an_npy_file_is_said() {
    let data = bytes_of(&[1.0, 2.0]);
    refused("x.npy", b"PK", None, &["NumPy's mark"]);
    refused("x.npy", b"\x93NUMPY\x01", None, &["ends within its header"]);
    refused("x.npy", &npy(9, "{}", &data), None, &["version 9"]);
    refused("x.npy", &npy(1, "{}", &data), None, &["lacks `descr`"]);
    refused("x.npy", &npy(1, "{'descr'}", &data), None, &["not a dictionary", "{'descr'}"]);
    refused("x.npy", &npy(1, &header(">f4", 2, 1), &data), None, &[">f4", "astype"]);
    refused("x.npy", &npy(1, &header("<f4", 3, 1), &data), None, &["12 bytes", "8"]);
    refused("x.npy", &npy(1, &header("<f4", u64::MAX, 9), &data), None, &["any file's"]);
    refused("x.npy", &npy(1, &header("<f4", 0, 9), &[]), None, &["empty"]);
    refused("x.npy", &npy(1, &header("<f4", 1, 2), &data), None, &["1 rows", "2 items", "or 3"]);
    let transposed = header("<f4", 2, 1).replace("False", "True");
    refused("x.npy", &npy(1, &transposed, &data), None, &["column order"]);
    let flat = header("<f4", 2, 1).replace("(2, 1)", "(2,)");
    refused("x.npy", &npy(1, &flat, &data), None, &["two dimensions", "[2]"]);
    let infinite = npy(1, &header("<f4", 2, 1), &bytes_of(&[1.0, f32::INFINITY]));
    refused("x.npy", &infinite, None, &["row 1", "raw2", "finite"]);
    refused("x.npy", &npy(1, &header("<f4", 2, 1), &data), Some("a"), &["`tensor`"]);
    refused("x.bin", &data, None, &["should end in"]);
}

#[test]
fn the_tensor_is_chosen_by_name_or_by_shape() {
    use safetensors::Dtype::{BF16, F32, I64};
    let (a, b) = (bytes_of(&[1.0, 2.0]), [0x80, 0x3f, 0x00, 0xc0]);
    let counts = 3i64.to_le_bytes();
    let one = safetensors_file(&[("a", F32, vec![2, 1], &a), ("n", I64, vec![1], &counts)]);
    assert_eq!(numbers(&read_bytes("x.safetensors", &one, None, 2).unwrap()), [1.0, 2.0]);
    let two = safetensors_file(&[("a", F32, vec![2, 1], &a), ("b", BF16, vec![2, 1], &b)]);
    let named = read_bytes("x.safetensors", &two, Some("b"), 2).unwrap();
    assert_eq!(numbers(&named), [1.0, -2.0]);
    refused("x.safetensors", &two, None, &["several", "`a` [2, 1], `b` [2, 1]"]);
    refused("x.safetensors", &two, Some("c"), &["no tensor `c`", "`a`"]);
    refused("x.safetensors", &one, Some("n"), &["tensor `n` is I64"]);
    let none = safetensors_file(&[("n", I64, vec![1], &counts)]);
    refused("x.safetensors", &none, None, &["no tensor with two dimensions", "`n` [1]"]);
    refused("x.safetensors", b"{}", None, &["not a safetensors file"]);
}

#[test]
fn an_absent_file_is_named() {
    let error = read(Path::new("/nowhere/x.npy"), None, &catalogue(2)).unwrap_err();
    assert!(error.to_string().contains("/nowhere/x.npy"), "{error}");
}

proptest! {
    #[test]
    fn matrices_survive_the_round_trip(
        (rows, columns, values) in (1usize..6, 1usize..6).prop_flat_map(|(rows, columns)| {
            (Just(rows), Just(columns), prop::collection::vec(-1e30f32..1e30, rows * columns))
        }),
    ) {
        let data = bytes_of(&values);
        let file = npy(1, &header("<f4", rows as u64, columns as u64), &data);
        let read = read_bytes("x.npy", &file, None, rows).unwrap();
        prop_assert_eq!(read.size(), [rows as i64, columns as i64]);
        prop_assert_eq!(&numbers(&read), &values);
        let file = safetensors_file(&[("e", safetensors::Dtype::F32, vec![rows, columns], &data)]);
        prop_assert_eq!(&numbers(&read_bytes("x.safetensors", &file, None, rows).unwrap()), &values);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = npy::parse(&bytes);
        let _ = npy::parse(&[b"\x93NUMPY", bytes.as_slice()].concat());
        let _ = tensor_file::parse(&bytes, None);
    }

    #[test]
    fn no_header_makes_it_panic(text in "[{}()':,\" a-zA-Z0-9<é]{0,80}", version in 1u8..4) {
        let _ = npy::parse(&npy(version, &text, &[0; 8]));
        let _ = npy::parse(&npy(version, &format!("{{'shape': ({text}"), &[0; 8]));
    }

    #[test]
    fn no_damage_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), end in any::<prop::sample::Index>()) {
        let mut file = npy(1, &header("<f4", 2, 2), &bytes_of(&[1.0, 2.0, 3.0, 4.0]));
        let place = at.index(file.len());
        file[place] = byte;
        if let Ok(matrix) = npy::parse(&file) {
            prop_assert_eq!(matrix.data.len(), 16);
        }
        let _ = npy::parse(&file[..end.index(file.len())]);
    }
}
