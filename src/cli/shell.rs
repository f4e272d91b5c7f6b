//! `rcptgate completions` and `man`: what a package installs beside the program.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::out::Out;
use crate::failure::Failure;

pub fn completions(shell: Shell, out: &mut Out) -> Result<(), Failure> {
    // Made in memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rcptgate", &mut script);
    Ok(out.write_all(&script)?)
}

/// One page: the program, then each of its commands.
pub fn man(out: &mut Out) -> Result<(), Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_options_section(out)?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let page = clap_mangen::Man::new(command.clone());
        writeln!(out, ".SH \"RCPTGATE {}\"", command.get_name().to_uppercase())?;
        page.render_synopsis_section(out)?;
        page.render_description_section(out)?;
        page.render_options_section(out)?;
    }
    page.render_extra_section(out)?;
    page.render_version_section(out)?;
    Ok(())
}
