//! Says in plain words when training goes wrong in one of the ways it usually does.

use super::figures::StepFigures;
use std::collections::VecDeque;

/// Steps over which figures are averaged before anything is said.
const WINDOW: usize = 10;

/// A way to go wrong: what is watched, when it is wrong, what to say.
struct Alarm {
    figure: &'static str,
    wrong: fn(first: f64, now: f64, path: f64) -> bool,
    sentence: &'static str,
}

const ALARMS: [Alarm; 5] = [
    Alarm {
        figure: "rollout/length",
        wrong: |first, now, _| first > 1.2 && now < 1.05,
        sentence: "paths have shrunk to one item: later items are judged worse than stopping; freeze the moments of \
                   rewards earlier (algo.rewards.moments_steps), lower rl.learning_rate, or hold the policy closer to \
                   its start (algo.penalty.kl = exact with a larger algo.penalty.beta)",
    },
    Alarm {
        figure: "rollout/length",
        wrong: |first, now, path| now > 0.97 * path && first < 0.9 * path,
        sentence: "nearly all paths are as long as they may be: every further item is judged better than stopping; \
                   look at algo.rewards.centering, at algo.penalty.entropy (it is summed over a path) and at \
                   rl.prompt_targets",
    },
    Alarm {
        figure: "algorithm/zero_variance_groups",
        wrong: |_, now, _| now > 0.5,
        sentence: "most groups hold the same path over and over and teach nothing: the policy has lost its entropy; \
                   lower rl.learning_rate or raise algo.penalty.entropy or algo.penalty.beta",
    },
    Alarm {
        figure: "policy/entropy",
        wrong: |first, now, _| now < 0.1 * first,
        sentence: "the policy's entropy is a tenth of what it was: it explores no more; lower rl.learning_rate or raise \
                   algo.penalty.entropy",
    },
    Alarm {
        figure: "algorithm/kl",
        wrong: |_, now, _| now > 20.0,
        sentence: "the policy is more than 20 nats a path away from where it started; lower rl.learning_rate or raise \
                   algo.penalty.beta (with algo.penalty.kl = exact, k2 or k3: k1 hardly constrains)",
    },
];

/// What was seen of each alarm's figure.
#[derive(Default)]
struct Watched {
    window: VecDeque<f64>,
    first: Option<f64>,
    said: bool,
}

/// Watches the figures of a run.
pub struct Alarms {
    path: f64,
    watched: [Watched; ALARMS.len()],
}

impl Alarms {
    /// Nothing seen yet; paths have at most `path` items.
    pub fn new(path: i64) -> Self {
        Self { path: path as f64, watched: Default::default() }
    }

    /// Takes in a step; gives what has gone wrong since, each alarm once in a run.
    pub fn watch(&mut self, figures: &StepFigures) -> Vec<&'static str> {
        let mut sentences = Vec::new();
        for (alarm, watched) in ALARMS.iter().zip(&mut self.watched) {
            let value = figures.get(alarm.figure);
            if value.is_nan() {
                continue;
            }
            let first = *watched.first.get_or_insert(value);
            watched.window.push_back(value);
            if watched.window.len() > WINDOW {
                watched.window.pop_front();
            }
            let now = watched.window.iter().sum::<f64>() / watched.window.len() as f64;
            if watched.window.len() == WINDOW && !watched.said && (alarm.wrong)(first, now, self.path) {
                watched.said = true;
                sentences.push(alarm.sentence);
            }
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(values: &[(&str, f64)]) -> Vec<&'static str> {
        let mut alarms = Alarms::new(10);
        values
            .iter()
            .flat_map(|(name, value)| {
                let mut figures = StepFigures::new();
                figures.put(name, *value);
                alarms.watch(&figures)
            })
            .collect()
    }

    fn constant(name: &'static str, first: f64, then: f64) -> Vec<(&'static str, f64)> {
        std::iter::once((name, first)).chain(std::iter::repeat_n((name, then), 30)).collect()
    }

    #[test]
    fn each_way_to_go_wrong_is_said_once() {
        for (name, first, then, word) in [
            ("rollout/length", 1.7, 1.0, "shrunk"),
            ("rollout/length", 2.0, 9.9, "as long as they may be"),
            ("algorithm/zero_variance_groups", 0.0, 0.9, "teach nothing"),
            ("policy/entropy", 3.0, 0.1, "explores no more"),
            ("algorithm/kl", 0.0, 25.0, "nats a path"),
        ] {
            let said = watch(&constant(name, first, then));
            assert_eq!(said.len(), 1, "{name}: {said:?}");
            assert!(said[0].contains(word), "{name}: {said:?}");
        }
    }

    #[test]
    fn what_is_well_is_not_spoken_of() {
        assert!(watch(&constant("rollout/length", 1.0, 1.0)).is_empty(), "paths were that short from the start");
        assert!(watch(&constant("rollout/length", 2.0, 4.0)).is_empty());
        assert!(watch(&constant("algorithm/kl", 0.0, 2.0)).is_empty());
        assert!(watch(&[("rollout/length", 1.7), ("rollout/length", 1.0)]).is_empty(), "a step is no trend");
    }
}
