//! `lakepilot partitions map`: a picture of what is listed.

use std::io;
use std::path::Path;

use chrono::Utc;
use lakepilot_admin::RetirementPlan;
use lakepilot_catalog::Partition;
use lakepilot_partition_map::{ColorBy, MapOptions, PartitionMap, StripOptions, TimeAxis};
use lakepilot_query::{Error, ErrorKind, Result};

use super::selection;
use crate::args::{MapArgs, MapColor, MapTime};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output;
use crate::terminal;

/// Columns of a strip that goes into a file or a pipe.
const WIDTH_OF_A_FILE: usize = 80;

pub(super) async fn map(args: MapArgs, context: &Context) -> Result<Outcome> {
    let picture = args.output.as_deref().map(Picture::of_path).transpose()?;
    let plan = args.plan.as_deref().map(RetirementPlan::load).transpose()?;
    let planned: Vec<Partition> = plan.iter().flat_map(RetirementPlan::partitions).cloned().collect();
    let selection = selection::selection(&args.selection, context)?;
    let partitions = selection::admin(context).await?.list(&selection).await?;
    let map = PartitionMap::new(&partitions, &planned, &options(&args, context.url()?));
    match (&args.output, picture) {
        (Some(path), Some(picture)) => {
            let drawn = match picture {
                Picture::Svg => map.to_svg(),
                Picture::Html => map.to_html(),
            };
            output::write_file(path, drawn.as_bytes())?;
            context.tell_written(Some(path));
        }
        _ => output::print(&map.to_strip(&strip_options(&args, context)))?,
    }
    Ok(Outcome::Done)
}

/// The kinds of picture in a file.
#[derive(Clone, Copy)]
enum Picture {
    Svg,
    Html,
}

impl Picture {
    /// # Errors
    /// `InvalidInput` when the ending says neither.
    fn of_path(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "svg" => Ok(Self::Svg),
            "html" | "htm" => Ok(Self::Html),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the ending of {} is no picture: use .svg for a picture, or .html for a page",
                    path.display()
                ),
            )),
        }
    }
}

fn options(args: &MapArgs, url: &str) -> MapOptions {
    let options = MapOptions::new(Utc::now())
        .with_title(format!("Partitions of {url}"))
        .with_color_by(match args.color_by {
            MapColor::Rows => ColorBy::Rows,
            MapColor::Bytes => ColorBy::Bytes,
            MapColor::Age => ColorBy::Age,
        })
        .with_axis(match args.across {
            MapTime::Insert => TimeAxis::Insert,
            MapTime::Event => TimeAxis::Event,
        });
    match args.most_instances {
        Some(most) => options.with_most_rows(most),
        None => options,
    }
}

fn strip_options(args: &MapArgs, context: &Context) -> StripOptions {
    let options = StripOptions::default()
        .with_width(terminal::stdout_width().unwrap_or(WIDTH_OF_A_FILE))
        .with_colors(terminal::colored(context.color(), &io::stdout()))
        .with_unicode(terminal::unicode());
    match args.most_instances {
        Some(most) => options.with_most_rows(most),
        None => options,
    }
}
