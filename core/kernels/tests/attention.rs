//! Results and gradients beside those of libtorch's own products.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_kernels::attention::{Attention, Spans, rounds_probabilities, serves};
use prorl_kernels::factors::Factors;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// The same by libtorch, sequence by sequence and head by head, in double precision.
fn plain(attention: &Attention<'_>, [queries, keys, values]: [&Tensor; 3], from: &Spans, to: &Spans) -> Tensor {
    let inner = queries.size()[1];
    let width = inner / attention.heads;
    let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
    let cut = |tensor: &Tensor, span: std::ops::Range<usize>, head: i64| {
        double(&tensor.narrow(0, span.start as i64, span.len() as i64).narrow(1, head * width, width))
    };
    let rows = (0..from.len()).map(|sequence| {
        let (mine, theirs) = (from.of(sequence), to.of(sequence));
        let heads = (0..attention.heads).map(|head| {
            let (queries, keys) = (cut(queries, mine.clone(), head), cut(keys, theirs.clone(), head));
            let mut scores = queries.mm(&keys.tr());
            if let Some(bias) = attention.bias {
                scores += double(&bias.get(head).narrow(0, 0, mine.len() as i64).narrow(1, 0, theirs.len() as i64));
            }
            if attention.causal {
                let ahead = Tensor::ones([mine.len() as i64, theirs.len() as i64], (Kind::Bool, Device::Cpu)).triu(1);
                scores = scores.masked_fill(&ahead, f64::NEG_INFINITY);
            }
            scores.softmax(-1, Kind::Double).mm(&cut(values, theirs.clone(), head))
        });
        let found = Tensor::cat(&heads.collect::<Vec<_>>(), 1);
        let next = if sequence + 1 < from.len() { from.of(sequence + 1).start } else { from.rows() };
        found.constant_pad_nd([0, 0, 0, (next - mine.end) as i64])
    });
    Tensor::cat(&rows.collect::<Vec<_>>(), 0)
}

fn leaf(size: &[i64]) -> Tensor {
    Tensor::randn(size, FLOAT).set_requires_grad(true)
}

/// Largest difference of two tensors, over the largest number of the second.
fn off(ours: &Tensor, theirs: &Tensor) -> f64 {
    let theirs = theirs.to_kind(Kind::Double);
    let difference = (ours.to_kind(Kind::Double) - &theirs).abs().max().double_value(&[]);
    difference / theirs.abs().max().double_value(&[]).max(1e-30)
}

/// Asserts that results, and gradients of `inputs` from the same random gradient of the result, agree.
fn assert_same(ours: &Tensor, theirs: &Tensor, inputs: &[&Tensor]) {
    assert!(off(ours, theirs) < 3e-6, "results differ by {}", off(ours, theirs));
    let seed = Tensor::randn(ours.size(), FLOAT);
    let gradients = |loss: Tensor| {
        loss.backward();
        inputs.iter().map(|input| input.grad().copy()).collect::<Vec<_>>()
    };
    let ours = gradients((ours * &seed).sum(Kind::Double));
    for input in inputs {
        let _ = input.grad().zero_();
    }
    let theirs = gradients((theirs * seed.to_kind(Kind::Double)).sum(Kind::Double));
    for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!(off(ours, theirs) < 1e-5, "gradients of input {number} differ by {}", off(ours, theirs));
    }
}

fn check_within(lengths: &[usize], time: Option<usize>, heads: i64, width: i64, causal: bool, biased: bool) {
    let spans = time.map_or_else(|| Spans::packed(lengths), |time| Spans::padded(lengths, time));
    let inner = heads * width;
    let joined = leaf(&[spans.rows() as i64, 3 * inner]);
    let longest = spans.longest() as i64;
    let bias = leaf(&[heads, longest + 1, longest + 2]);
    let attention = Attention { heads, bias: biased.then_some(&bias), causal, factors: Factors::Float32, dropout: 0.0 };
    let ours = attention.within(&joined, &spans);
    let parts = joined.split(inner, 1);
    let theirs = plain(&attention, [&parts[0], &parts[1], &parts[2]], &spans, &spans);
    let inputs = if biased { vec![&joined, &bias] } else { vec![&joined] };
    assert_same(&ours, &theirs, &inputs);
}

/// libtorch's generator for one test alone; none where the processor is not served.
fn generator(seed: i64) -> Option<MutexGuard<'static, ()>> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    if !serves(Device::Cpu, 64) {
        eprintln!("skipped: this processor has no AVX2");
        return None;
    }
    let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed);
    Some(guard)
}

#[test]
fn sequences_of_all_lengths_agree_with_libtorch() {
    let Some(_alone) = generator(1) else { return };
    let lengths: Vec<usize> = (1..70).collect();
    for (causal, biased) in [(true, true), (true, false), (false, true), (false, false)] {
        check_within(&lengths, None, 2, 16, causal, biased);
    }
    check_within(&[41; 40], None, 4, 64, true, true);
    check_within(&[200, 3, 129], None, 3, 48, true, true);
    check_within(&[200, 3, 129], None, 1, 32, false, true);
}

#[test]
fn rows_without_a_sequence_find_nothing_and_get_no_gradient() {
    let Some(_alone) = generator(2) else { return };
    check_within(&[3, 0, 7, 9], Some(9), 2, 32, false, true);
    check_within(&[0, 12, 5], Some(12), 2, 32, true, true);
}

#[test]
fn queries_of_other_sequences_agree_with_libtorch() {
    let Some(_alone) = generator(3) else { return };
    let (from, to) = (Spans::packed(&[100, 1, 48, 0, 656]), Spans::padded(&[45, 44, 1, 20, 17], 45));
    let (heads, width) = (4, 16);
    let inner = heads * width;
    let queries = leaf(&[from.rows() as i64, inner]);
    let all = leaf(&[to.rows() as i64, 3, 2 * inner]);
    let keys_values = all.select(1, 1); // its rows are some distance apart
    let attention = Attention { heads, bias: None, causal: false, factors: Factors::Float32, dropout: 0.0 };
    let ours = attention.across(&queries, &from, &keys_values, &to);
    let parts = keys_values.split(inner, 1);
    let theirs = plain(&attention, [&queries, &parts[0], &parts[1]], &from, &to);
    assert_same(&ours, &theirs, &[&queries, &all]);
}

#[test]
fn some_positions_find_what_they_find_among_all() {
    let Some(_alone) = generator(6) else { return };
    let (heads, width, lengths) = (2, 16, [41usize, 1, 16, 100, 60]);
    let (inner, to) = (heads * width, Spans::packed(&lengths));
    let joined = leaf(&[to.rows() as i64, 3 * inner]);
    let bias = leaf(&[heads, 100, 100]);
    for (causal, share) in [(true, 0.5), (true, 0.1), (false, 0.4), (true, 1.0)] {
        let chosen: Vec<Vec<usize>> = lengths
            .iter()
            .map(|&length| {
                let drawn = Vec::<f64>::try_from(Tensor::rand([length as i64], (Kind::Double, Device::Cpu))).unwrap();
                (0..length).filter(|&place| drawn[place] < share).collect()
            })
            .collect();
        let from = Spans::packed(&chosen.iter().map(Vec::len).collect::<Vec<_>>());
        let rows = chosen.iter().enumerate().flat_map(|(it, places)| places.iter().map(move |place| (it, *place)));
        let rows: Vec<i64> = rows.map(|(it, place)| (to.of(it).start + place) as i64).collect();
        let rows = Tensor::from_slice(&rows);
        let attention = Attention { heads, bias: Some(&bias), causal, factors: Factors::Float32, dropout: 0.0 };
        let queries = joined.narrow(1, 0, inner).index_select(0, &rows);
        let ours = attention.from_places(&queries, &from, &chosen.concat(), &joined.narrow(1, inner, 2 * inner), &to);
        let parts = joined.split(inner, 1);
        let theirs = plain(&attention, [&parts[0], &parts[1], &parts[2]], &to, &to).index_select(0, &rows);
        for leaf in [&joined, &bias] {
            if leaf.grad().defined() {
                let _ = leaf.grad().zero_();
            }
        }
        assert_same(&ours, &theirs, &[&joined, &bias]);
    }
}

/// Of bf16 factors, what is found and the gradients are those of the same numbers in float32, rounded; and kept in float32,
/// they are the same numbers. Where probabilities are rounded, too, they are off by that.
#[test]
fn factors_of_fewer_bits_are_read_as_they_are() {
    let Some(_alone) = generator(7) else { return };
    let (spans, to) = (Spans::packed(&[30, 1, 13, 0, 70]), Spans::packed(&[20, 41, 13, 5, 9]));
    for (causal, width) in [(true, 32), (false, 32), (true, 64), (false, 96), (true, 48)] {
        let (heads, inner) = (2, 2 * width);
        let bias = leaf(&[heads, 70, 41]);
        let leaves = [leaf(&[spans.rows() as i64, inner]), leaf(&[to.rows() as i64, 2 * inner])];
        let rounded = leaves.each_ref().map(|leaf| leaf.to_kind(Kind::BFloat16));
        let seed = Tensor::randn([spans.rows() as i64, inner], (Kind::BFloat16, Device::Cpu));
        let run = |factors: Factors| {
            let attention = Attention { heads, bias: Some(&bias), causal, factors, dropout: 0.0 };
            let kind = factors.kind();
            let from = if factors == Factors::Rounded { &leaves } else { &rounded };
            let [queries, others] = from.each_ref().map(|factor| factor.to_kind(kind));
            let found = attention.across(&queries, &spans, &others, &to);
            assert_eq!(found.kind(), kind);
            let inputs = [&leaves[0], &leaves[1], &bias];
            let loss = (&found * seed.to_kind(kind)).sum(Kind::Float);
            let gradients = Tensor::run_backward(&[loss], &inputs, true, false);
            [found.to_kind(Kind::Float)].into_iter().chain(gradients).collect::<Vec<_>>()
        };
        let [ours, theirs, in_float32] = [Factors::Bf16, Factors::Float32, Factors::Rounded].map(run);
        if rounds_probabilities(Factors::Bf16, width) {
            eprintln!("probabilities of heads {width} wide are rounded");
        } else {
            assert_eq!(ours, in_float32);
        }
        assert_eq!(in_float32[0], theirs[0].to_kind(Kind::BFloat16).to_kind(Kind::Float));
        for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!(off(ours, theirs) < 0.01, "{number} of heads {width} wide is off by {}", off(ours, theirs));
        }
    }
}

/// Sequences of all lengths, alone and after a row that they share, in bf16 beside the same numbers in float32.
#[test]
fn sequences_of_all_lengths_are_near_in_bf16() {
    let Some(_alone) = generator(10) else { return };
    let lengths: Vec<usize> = (1..140).step_by(3).collect();
    let (shared, _, _) = sharing(3, &[12, 1, 0, 70, 30, 40]);
    for (spans, causal) in [(Spans::packed(&lengths), true), (Spans::packed(&lengths), false), (shared, true)] {
        let (heads, inner) = (2, 128);
        let longest = spans.longest() as i64;
        let joined = leaf(&[spans.rows() as i64, 3 * inner]);
        let bias = leaf(&[heads, longest, longest]);
        let seed = Tensor::randn([spans.rows() as i64, inner], FLOAT);
        let [ours, theirs] = [Factors::Bf16, Factors::Rounded].map(|factors| {
            let attention = Attention { heads, bias: Some(&bias), causal, factors, dropout: 0.0 };
            let found = attention.within(&joined.to_kind(factors.kind()), &spans).to_kind(Kind::Float);
            let loss = (&found * &seed).sum(Kind::Float);
            std::iter::once(found)
                .chain(Tensor::run_backward(&[loss], &[&joined, &bias], false, false))
                .collect::<Vec<_>>()
        });
        for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            // Row by row, so that a short sequence counts beside a long one.
            let (ours, theirs) = (ours.flatten(1, -1), theirs.flatten(1, -1));
            let largest =
                theirs.abs().amax([1].as_slice(), false).clamp_min(0.1 * theirs.abs().max().double_value(&[]));
            let off = ((ours - theirs).abs().amax([1].as_slice(), false) / largest).max().double_value(&[]);
            assert!(off < 0.05, "a row of {number} is off by {off}");
        }
    }
}

#[test]
fn large_and_equal_scores_are_no_trouble() {
    let Some(_alone) = generator(4) else { return };
    let spans = Spans::packed(&[20, 20]);
    for scale in [0.0, 30.0] {
        let joined = (Tensor::randn([40, 96], FLOAT) * scale).set_requires_grad(true);
        let attention = Attention { heads: 2, bias: None, causal: true, factors: Factors::Float32, dropout: 0.0 };
        let ours = attention.within(&joined, &spans);
        let parts = joined.split(32, 1);
        let theirs = plain(&attention, [&parts[0], &parts[1], &parts[2]], &spans, &spans);
        assert!(off(&ours, &theirs) < 1e-5, "{}", off(&ours, &theirs));
        assert!(bool::try_from(ours.isfinite().all()).unwrap());
    }
}

/// With dropout, a loss's gradient is still that of the loss as computed: it foretells a small step's change.
#[test]
fn dropout_keeps_the_mean_and_is_drawn_again_backwards() {
    let Some(_alone) = generator(5) else { return };
    let spans = Spans::packed(&[33; 64]);
    let joined = leaf(&[spans.rows() as i64, 3 * 64]);
    let weights = Tensor::randn([spans.rows() as i64, 64], FLOAT);
    let loss = |joined: &Tensor, share: f64| {
        tch::manual_seed(6);
        let attention = Attention { heads: 4, bias: None, causal: true, factors: Factors::Float32, dropout: share };
        (attention.within(joined, &spans) * &weights).sum(Kind::Double)
    };
    loss(&joined, 0.3).backward();
    let direction = joined.grad() * 1e-3;
    let (up, down) = tch::no_grad(|| (loss(&(&joined + &direction), 0.3), loss(&(&joined - &direction), 0.3)));
    let foretold = 2.0 * (joined.grad() * &direction).sum(Kind::Double).double_value(&[]);
    let change = (up - down).double_value(&[]);
    assert!((change / foretold - 1.0).abs() < 2e-3, "{change} for {foretold}");

    let ones = Tensor::cat(&[Tensor::zeros([33 * 64, 128], FLOAT), Tensor::ones([33 * 64, 64], FLOAT)], 1);
    let attention = Attention { heads: 4, bias: None, causal: false, factors: Factors::Float32, dropout: 0.3 };
    let found = attention.within(&ones, &spans);
    let mean = found.mean(Kind::Double).double_value(&[]);
    assert!((mean - 1.0).abs() < 0.01, "{mean}");
    let spread = found.var(false).double_value(&[]);
    let expected = 0.3 / 0.7 / 33.0;
    assert!((spread / expected - 1.0).abs() < 0.1, "{spread} for {expected}");
}

/// Values that tell a key each make what is found the probabilities that were kept; from these follow the gradients.
#[test]
fn gradients_with_dropout_are_those_of_what_was_kept() {
    let Some(_alone) = generator(11) else { return };
    let (width, share, lengths) = (64, 0.3, [41usize, 64, 7]);
    let spans = Spans::packed(&lengths);
    let ones = Tensor::eye(width, FLOAT);
    let values = Tensor::cat(&lengths.map(|length| ones.narrow(0, 0, length as i64)), 0);
    let seed = Tensor::randn(values.size(), FLOAT);
    for (factors, bound) in [(Factors::Float32, 1e-5), (Factors::Bf16, 0.02)] {
        // Of bf16's numbers, so that both sides begin with the same.
        let joined =
            Tensor::cat(&[Tensor::randn([spans.rows() as i64, 2 * width], FLOAT) * 0.5, values.shallow_clone()], 1);
        let joined = joined.to_kind(Kind::BFloat16).to_kind(Kind::Float).set_requires_grad(true);
        let attention = Attention { heads: 1, bias: None, causal: true, factors, dropout: share };
        let found = attention.within(&joined.to_kind(factors.kind()), &spans).to_kind(Kind::Double);
        let kept = found.not_equal(0.0);
        let ours = Tensor::run_backward(&[(&found * &seed).sum(Kind::Double)], &[&joined], false, false).remove(0);
        let theirs = (0..spans.len()).map(|sequence| {
            let (first, length) = (spans.of(sequence).start as i64, spans.of(sequence).len() as i64);
            let part =
                |column: i64| joined.narrow(0, first, length).narrow(1, column * width, width).to_kind(Kind::Double);
            let ahead = Tensor::ones([length, length], (Kind::Bool, Device::Cpu)).triu(1);
            let weights = part(0).mm(&part(1).tr()).masked_fill(&ahead, f64::NEG_INFINITY).softmax(-1, Kind::Double);
            let kept = kept.narrow(0, first, length).narrow(1, 0, length).to_kind(Kind::Double) / (1.0 - share);
            (weights * kept).mm(&part(2))
        });
        let theirs = Tensor::cat(&theirs.collect::<Vec<_>>(), 0);
        assert!(off(&found, &theirs) < bound, "off by {}", off(&found, &theirs));
        let theirs = Tensor::run_backward(&[(theirs * &seed).sum(Kind::Double)], &[&joined], false, false).remove(0);
        assert!(off(&ours, &theirs) < bound, "gradients are off by {}", off(&ours, &theirs));
        let of_seen = lengths.iter().map(|length| length * (length + 1) / 2).sum::<usize>() as f64;
        let kept = kept.sum(Kind::Double).double_value(&[]) / of_seen;
        assert!((kept - (1.0 - share)).abs() < 0.03, "{kept} are kept");
    }
}

#[test]
fn results_follow_from_the_seed() {
    let Some(_alone) = generator(6) else { return };
    let spans = Spans::packed(&[41; 100]);
    let (joined, bias) = (leaf(&[4100, 3 * 128]), leaf(&[2, 41, 41]));
    let run = |seed| {
        tch::manual_seed(seed);
        let attention =
            Attention { heads: 2, bias: Some(&bias), causal: true, factors: Factors::Float32, dropout: 0.1 };
        let found = attention.within(&joined, &spans);
        for leaf in [&joined, &bias] {
            if leaf.grad().defined() {
                let _ = leaf.grad().zero_();
            }
        }
        found.square().sum(Kind::Float).backward();
        (found.detach(), joined.grad().copy(), bias.grad().copy())
    };
    let (first, again, other) = (run(1), run(1), run(2));
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
}

/// Prompts of a first row and sequences that begin with it, and where each row of the sequences written out is.
fn sharing(prompts: usize, paths: &[usize]) -> (Spans, Spans, Tensor) {
    let (mut lengths, mut shared, mut whole, mut rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut row = 0;
    for _ in 0..prompts {
        let first = row;
        for (begun, length) in std::iter::once((None, 1)).chain(paths.iter().map(|length| (Some(first), *length))) {
            rows.extend(begun.into_iter().chain(row..row + length).map(|row| row as i64));
            lengths.push(length);
            shared.push(begun);
            whole.push(length + usize::from(begun.is_some()));
            row += length;
        }
    }
    (Spans::packed(&lengths).beginning_with(&shared), Spans::packed(&whole), Tensor::from_slice(&rows))
}

#[test]
fn sequences_that_share_their_first_row_are_as_if_each_had_it() {
    let Some(_alone) = generator(9) else { return };
    let (prompts, paths) = (40, [12, 1, 0, 9, 30, 12, 12]);
    let (spans, whole, rows) = sharing(prompts, &paths);
    let (heads, inner) = (4, 256);
    let joined = leaf(&[spans.rows() as i64, 3 * inner]);
    let bias = leaf(&[heads, 31, 31]);
    let attention = Attention { heads, bias: Some(&bias), causal: true, factors: Factors::Float32, dropout: 0.0 };
    // Of a row that is written out for several sequences, what the first one finds counts.
    let own: Vec<i64> = Vec::<i64>::try_from(&rows).unwrap();
    let places: Vec<i64> =
        (0..spans.rows() as i64).map(|row| own.iter().position(|it| *it == row).unwrap() as i64).collect();
    let places = Tensor::from_slice(&places);
    let plain = attention.within(&joined.index_select(0, &rows), &whole).index_select(0, &places);
    assert_same(&attention.within(&joined, &spans), &plain, &[&joined, &bias]);

    // Some rows of each sequence ask.
    let (asking, at): (Vec<usize>, Vec<usize>) = (0..spans.len())
        .flat_map(|sequence| {
            let begin = usize::from(sequence % (paths.len() + 1) != 0);
            spans.of(sequence).enumerate().step_by(3).map(move |(place, row)| (row, begin + place))
        })
        .unzip();
    let from: Vec<usize> = (0..spans.len()).map(|sequence| spans.of(sequence).len().div_ceil(3)).collect();
    let from = Spans::packed(&from);
    let asking = Tensor::from_slice(&asking.iter().map(|row| *row as i64).collect::<Vec<_>>());
    let (queries, others) = (leaf(&[spans.rows() as i64, inner]), leaf(&[spans.rows() as i64, 2 * inner]));
    let bias = leaf(&[heads, 31, 31]);
    let attention = Attention { bias: Some(&bias), ..attention };
    let queries_asked = || queries.index_select(0, &asking);
    let ours = attention.from_places(&queries_asked(), &from, &at, &others, &spans);
    let plain = attention.from_places(&queries_asked(), &from, &at, &others.index_select(0, &rows), &whole);
    assert_same(&ours, &plain, &[&queries, &others, &bias]);
}

#[test]
#[should_panic(expected = "not of the sequence before")]
fn a_shared_row_lies_before_those_that_share_it() {
    let _ = Spans::packed(&[2, 1, 4]).beginning_with(&[None, None, Some(1)]);
}
