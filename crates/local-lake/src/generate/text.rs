//! Messages that look as if somebody had logged them.

use rand::Rng;
use rand::rngs::SmallRng;

/// So that a message has at least ten characters even if the last of its bytes belong to wide ones.
const SHORTEST: usize = 24;

const FATAL: u8 = 1;
const WARNING: u8 = 3;

/// `#` is a number, `@` a hexadecimal id, `$` a name, `%` a time in milliseconds, `~` a size, `^` a path.
const FAILURES: [&str; 8] = [
    "cannot reach $ after # attempts: connection reset by peer",
    "request @ failed with status 503 after % ms",
    "lost the lease of shard # to node @",
    "checksum of ^ does not match: expected @, found @",
    "assertion failed in $: queue holds # items",
    "out of memory while loading ^ (~ asked, ~ free)",
    "write to ^ failed: No space left on device (os error 28)",
    "worker $ panicked; # tasks were dropped",
];
const WARNINGS: [&str; 7] = [
    "slow frame: % ms (budget 16.667 ms)",
    "retrying request @ to $, attempt #",
    "cache of $ is nearly at its ~, evicting # entries",
    "deprecated option in ^, line #",
    "clock drifted by % ms since the last sync",
    "connection pool of $ is exhausted, # waiting",
    "asset ^ is missing its thumbnail, using the fallback",
];
const ORDINARY: [&str; 14] = [
    "request @ done in % ms",
    "player # joined session @",
    "player # left session @ after % ms",
    "loaded ^ (~) in % ms",
    "flushed # events to $ (~)",
    "GET /api/v2/$/# 200 % ms",
    "POST /api/v2/$ 201 % ms",
    "scheduled job $ as @",
    "heartbeat from node @, load 0.#",
    "replicated ~ to $ in % ms",
    "compiled shader ^ with # permutations",
    "match @ found for # players in % ms",
    "garbage collection took % ms and freed ~",
    "configuration reloaded from ^",
];
const NAMES: [&str; 12] = [
    "inventory",
    "profiles",
    "sessions",
    "leaderboard",
    "storage",
    "ingestion",
    "payments",
    "lobby",
    "physics",
    "pathfinding",
    "replication",
    "texture-streaming",
];
const PATHS: [&str; 8] = [
    "/data/worlds/harbour.pak",
    "/data/worlds/ridge_03.pak",
    "/var/lib/relay/spool/0007.bin",
    "C:\\Games\\Data\\ui_atlas.dds",
    "/etc/relay/config.toml",
    "shaders/water_surface.hlsl",
    "textures/stone_wall_04.ktx2",
    "/home/build/agent/work/out.log",
];
const KEYS: [&str; 10] = [
    "region=eu-west",
    "tier=\"gold\"",
    "city=Zürich",
    "map='Old Harbour'",
    "locale=ja-JP",
    "name=田中",
    "retry=no",
    "owner=O'Brien",
    "ratio=12%",
    "emoji=🚀",
];

/// Writes one message of a level into `message`, which is emptied before.
pub(super) fn write_message(message: &mut String, level: u8, random: &mut SmallRng) {
    message.clear();
    let templates: &[&str] = match level {
        FATAL..WARNING => &FAILURES,
        WARNING => &WARNINGS,
        _ => &ORDINARY,
    };
    fill(message, templates[random.random_range(0..templates.len())], random);
    let wanted = wanted_length(random);
    while message.len() < wanted {
        lengthen(message, random);
    }
    message.truncate(message.floor_char_boundary(wanted));
}

/// Most have 40 to 200 characters, few are shorter, and one in forty is long.
fn wanted_length(random: &mut SmallRng) -> usize {
    let class = random.random_range(0..1000);
    if class < 25 {
        // As many between 200 and 430 as between 930 and 2000.
        (200.0 * 10f64.powf(random.random())) as usize
    } else if class < 90 {
        random.random_range(SHORTEST..40)
    } else {
        random.random_range(40..=200).min(random.random_range(40..=240))
    }
}

fn fill(message: &mut String, template: &str, random: &mut SmallRng) {
    for piece in template.chars() {
        match piece {
            '#' => number(message, random.random_range(1..10_000)),
            '@' => hexadecimal(message, random.random()),
            '$' => message.push_str(NAMES[random.random_range(0..NAMES.len())]),
            '%' => milliseconds(message, random),
            '~' => {
                number(message, random.random_range(1..1_000));
                message.push_str(" MB");
            }
            '^' => message.push_str(PATHS[random.random_range(0..PATHS.len())]),
            other => message.push(other),
        }
    }
}

fn lengthen(message: &mut String, random: &mut SmallRng) {
    match random.random_range(0..8u32) {
        0 => {
            message.push_str("\n  at ");
            message.push_str(NAMES[random.random_range(0..NAMES.len())]);
            message.push_str("::run (line ");
            number(message, random.random_range(10..2_000));
            message.push(')');
        }
        1..4 => {
            message.push_str(" trace=");
            hexadecimal(message, random.random());
        }
        4..6 => {
            message.push_str(" elapsed_ms=");
            milliseconds(message, random);
        }
        _ => {
            message.push(' ');
            message.push_str(KEYS[random.random_range(0..KEYS.len())]);
        }
    }
}

fn number(message: &mut String, number: u32) {
    let mut digits = [0u8; 10];
    let mut rest = number;
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    message.extend(digits[first..].iter().map(|digit| char::from(*digit)));
}

fn hexadecimal(message: &mut String, value: u32) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    message.extend((0..8).rev().map(|digit| DIGITS[(value >> (4 * digit)) as usize & 15]));
}

fn milliseconds(message: &mut String, random: &mut SmallRng) {
    number(message, random.random_range(0..900));
    message.push('.');
    number(message, random.random_range(100..1_000));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const LONGEST: usize = 2_000;

    #[test]
    fn messages_have_ten_to_two_thousand_characters_and_mostly_few() {
        let mut random = SmallRng::seed_from_u64(7);
        let mut message = String::new();
        let lengths: Vec<usize> = (0..20_000)
            .map(|row| {
                write_message(&mut message, 1 + (row % 6) as u8, &mut random);
                message.chars().count()
            })
            .collect();
        assert!(lengths.iter().all(|length| (10..=LONGEST).contains(length)));
        let share = |from: usize, upto: usize| {
            lengths.iter().filter(|length| (from..=upto).contains(length)).count() as f64 / lengths.len() as f64
        };
        assert!(share(40, 200) > 0.85, "{}", share(40, 200));
        assert!(share(1_000, LONGEST) > 0.002, "{}", share(1_000, LONGEST));
        assert!(share(10, 39) > 0.02, "{}", share(10, 39));
    }
}
