//! The host: command line, configuration, plugins, training, evaluation, reports.

#![deny(clippy::print_stdout)]

pub mod application;
pub mod artefacts;
pub mod benchmark;
pub mod checkpoint;
pub mod command_line;
pub mod comparison;
mod drawing;
mod durable;
pub mod evaluation;
pub mod examples;
pub mod experiment;
pub mod inspection;
pub mod metric_log;
pub mod output;
pub mod plugins;
pub mod processes;
pub mod program;
pub mod progress;
pub mod random_streams;
mod report;
pub mod run_folder;
pub mod scaffold;
pub mod settings;
pub mod stages;
pub mod tables;
pub mod training;
pub mod truth;
pub mod workbench;
