//! The files that the events are from: found in the index, copied byte for byte, and looked through for the
//! records. A file that changed since it was indexed is none of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::bail;
use bundle::{About, Reasons, Sought, Spool, Stage, Stored, There, find, place_of};

use client::Client;
use ingest::archive::Archive;
use segment::steps::step;
use wire::limits::FILES_LIMIT_MAX;
use wire::{FileEntry, FilesRequest};

use super::collect::{self, Waiting};
use super::contents::Packed;

/// Files of one bundle: their names are in memory, several times.
const SOURCES_MAX: usize = 500_000;

/// Bytes of these names.
const SOURCES_BYTES_MAX: usize = 128 << 20;

/// A file that events are from.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Where it is in the bag.
    pub(super) place: String,
    number: u32,
    /// SHA-256 of each of its readings, the last one last.
    hashes: Vec<String>,
    /// What is in the bag.
    pub(super) stored: Option<Stored>,
    /// SHA-256 of what it holds, as the index knows it.
    pub(super) sha256: Option<String>,
    events: u64,
    /// Of them, those whose record is at its place.
    pub(super) found: u64,
}

/// The files, by their paths, and which events are in them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) files: BTreeMap<String, Source>,
    found: Vec<u8>,
}

impl Sources {
    /// The files of the events that were fetched.
    pub(super) fn of(stage: &Stage, client: &Client) -> anyhow::Result<Self> {
        let mut files: BTreeMap<String, Source> = BTreeMap::new();
        let mut bytes = 0;
        collect::each(stage, |_, event| {
            if let Some(source) = files.get_mut(&event.source) {
                source.events += 1;
                return Ok(());
            }
            bytes += event.source.len();
            if files.len() >= SOURCES_MAX || bytes > SOURCES_BYTES_MAX {
                bail!(
                    "the events are from more than {SOURCES_MAX} files, or these have more than \
                     {SOURCES_BYTES_MAX} bytes of names: narrow the query, or its time"
                );
            }
            let place = place_of(&event.source);
            files.insert(event.source, Source { place, events: 1, ..Source::default() });
            Ok(())
        })?;
        let mut sources = Self { files, found: Vec::new() };
        sources.look_up(client)?;
        Ok(sources)
    }

    /// Asks the index for the hashes: of all files at once, or where that is more than it lists, of those of
    /// each folder, and so on.
    fn look_up(&mut self, client: &Client) -> anyhow::Result<()> {
        let paths: Vec<String> = self.files.keys().cloned().collect();
        let mut waiting = vec![(0, 0..paths.len())];
        while let Some((depth, range)) = waiting.pop() {
            let of_range = &paths[range.clone()];
            let Some(first) = of_range.first() else { continue };
            let is_file = of_range.len() == 1;
            let prefix = if is_file { first.as_str() } else { prefix(first, depth) };
            let answer = ask(client, prefix.to_owned())?;
            if answer.total as usize == answer.files.len() || is_file {
                answer.files.into_iter().for_each(|entry| self.enter(entry));
                continue;
            }
            let mut start = range.start;
            let key = |path: &str| self::prefix(path, depth + 1).to_owned();
            for group in of_range.chunk_by(|a, b| key(a) == key(b)) {
                waiting.push((depth + 1, start..start + group.len()));
                start += group.len();
            }
        }
        Ok(())
    }

    fn enter(&mut self, entry: FileEntry) {
        if let Some(source) = self.files.get_mut(&entry.path) {
            source.hashes.extend(entry.reading.sha256);
        }
    }

    /// Copies the files that are not there yet, and looks for the records. What goes wrong is a reason.
    pub(super) fn copy(
        &mut self,
        stage: &Stage,
        archive: &Archive,
        packed: &mut Packed,
        reasons: &mut Reasons,
        on_file: &mut dyn FnMut(),
    ) -> anyhow::Result<()> {
        self.files.values_mut().zip(0..).for_each(|(source, number)| source.number = number);
        let mut spool = Spool::create(&stage.beside("places"))?;
        let (mut of_tables, mut events) = (Vec::new(), 0);
        collect::each(stage, |event, waiting| {
            events = event + 1;
            let number = self.files[&waiting.source].number;
            let line = waiting.line(collect::Where::default()).map_err(anyhow::Error::from)?;
            if line.is_of_table() {
                of_tables.push((number, event));
                return Ok(());
            }
            let sought = line.sought().expect("its hash was just made");
            Ok::<(), anyhow::Error>(spool.add(number, event, &sought)?)
        })?;
        self.found = vec![0; events as usize / 8 + 1];
        let paths: Vec<String> = self.files.keys().cloned().collect();
        let mut copying = Copying { stage, archive, packed, reasons };
        let (files, found) = (&mut self.files, &mut self.found);
        let mut visited = vec![false; paths.len()];
        spool.each_file(|number, places| {
            let path = &paths[number as usize];
            let source = files.get_mut(path).expect("it was numbered");
            copying.one(path, source, places, found)?;
            visited[number as usize] = true;
            on_file();
            Ok::<(), anyhow::Error>(())
        })?;
        for (number, event) in of_tables {
            let path = &paths[number as usize];
            let source = files.get_mut(path).expect("it was numbered");
            if !std::mem::replace(&mut visited[number as usize], true) {
                copying.one(path, source, &[], found)?;
                on_file();
            }
            if source.stored.is_some() {
                source.found += 1;
                found[event as usize / 8] |= 1 << (event % 8);
            }
        }
        copying.tell(files);
        Ok(())
    }

    /// The last hash that the index has of a file.
    pub(super) fn last_hash(&self, path: &str) -> Option<String> {
        self.files.get(path).and_then(|source| source.hashes.last().cloned())
    }

    /// The original of an event, if it is in the bag with the event's record at its place.
    pub(super) fn of_event(&self, number: u64, event: &Waiting) -> Option<&Source> {
        let byte = self.found.get(number as usize / 8)?;
        let is_found = byte & (1 << (number % 8)) != 0;
        self.files.get(&event.source).filter(|source| is_found && source.stored.is_some())
    }
}

/// A path up to the slash behind so many of its parts; all of it where it has no more.
fn prefix(path: &str, depth: usize) -> &str {
    path.match_indices('/').nth(depth).map_or(path, |(at, _)| &path[..=at])
}

fn ask(client: &Client, path: String) -> anyhow::Result<wire::FilesResponse> {
    let request =
        FilesRequest { path: Some(path), limit: Some(FILES_LIMIT_MAX), ..FilesRequest::default() };
    Ok(client.files(&request)?)
}

struct Copying<'a> {
    stage: &'a Stage,
    archive: &'a Archive,
    packed: &'a mut Packed,
    reasons: &'a mut Reasons,
}

impl Copying<'_> {
    /// Sees that a file is in the bag, and marks the events that are in it.
    fn one(
        &mut self,
        path: &str,
        source: &mut Source,
        places: &[(u64, Sought)],
        found: &mut [u8],
    ) -> anyhow::Result<()> {
        if let Some(stored) = self.stage.stored(&source.place)? {
            if self.is_it(source, places, found)?.is_ok() {
                source.stored = Some(stored);
                return Ok(());
            }
            // An earlier run copied it before it was changed, or the disk was not told to keep it.
            self.stage.remove(&source.place)?;
        }
        let why = match self.copy(path, source)? {
            Ok(stored) => match self.is_it(source, places, found)? {
                Ok(()) => {
                    source.stored = Some(stored);
                    return Ok(());
                }
                Err(why) => {
                    self.stage.remove(&source.place)?;
                    why
                }
            },
            Err(why) => why,
        };
        let events = source.events;
        self.reasons.add(About::Originals, format!("{path}: {why}; {events} events are from it"));
        Ok(())
    }

    /// Copies a file. Err of a file that cannot be read is a reason, and none of this program.
    fn copy(&mut self, path: &str, source: &Source) -> anyhow::Result<Result<Stored, String>> {
        let opened = self.archive.open(Path::new(path)).and_then(|file| {
            if file.metadata()?.is_file() {
                Ok(file)
            } else {
                Err(io::Error::other("not a plain file"))
            }
        });
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err("it is gone".to_owned()));
            }
            Err(error) => return Ok(Err(format!("it cannot be read: {error}"))),
        };
        let mut fault = None;
        let put = self.stage.put(&source.place, |to| {
            let mut reading = Reading { file: &mut file, fault: &mut fault };
            io::copy(&mut reading, to).map(|_| ())
        });
        if let Some(error) = fault {
            return Ok(Err(format!("it cannot be read: {error}")));
        }
        step("bundle-file-copied");
        Ok(Ok(put?))
    }

    /// Whether the copy holds what was indexed; then the events that are in it are marked.
    fn is_it(
        &mut self,
        source: &mut Source,
        places: &[(u64, Sought)],
        found: &mut [u8],
    ) -> anyhow::Result<Result<(), String>> {
        let file = File::open(self.stage.bag().join(&source.place))?;
        let (sha256, there) = match find(self.packed, &file, places) {
            Ok(found) => found,
            Err(why) => return Ok(Err(format!("it cannot be read: {why}"))),
        };
        if source.hashes.is_empty() {
            return Ok(Err("the index does not know what it held".to_owned()));
        }
        if !source.hashes.contains(&sha256) {
            let before = source.hashes.last().map_or("", |hash| hash);
            return Ok(Err(format!(
                "it was changed since it was indexed: the SHA-256 of what it holds was {before}, and is {sha256}"
            )));
        }
        source.found = 0;
        for ((event, _), _) in places.iter().zip(there).filter(|(_, there)| *there == There::Same) {
            found[*event as usize / 8] |= 1 << (event % 8);
            source.found += 1;
        }
        source.sha256 = Some(sha256);
        Ok(Ok(()))
    }

    /// Tells of files that hold what was indexed last, and not all that was indexed.
    fn tell(&mut self, files: &mut BTreeMap<String, Source>) {
        for (path, source) in files {
            let lacking = source.events - source.found;
            if source.stored.is_some() && lacking > 0 {
                let reason = format!(
                    "{path}: {lacking} of its {} events are of an earlier content: it was changed and \
                     read again",
                    source.events
                );
                self.reasons.add(About::Originals, reason);
            }
            if source.found == 0 {
                source.stored = None;
            }
        }
    }
}

/// A file whose errors are told from those of what it is copied to.
struct Reading<'a> {
    file: &'a mut File,
    fault: &'a mut Option<io::Error>,
}

impl io::Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|error| {
            let kind = error.kind();
            *self.fault = Some(error);
            kind.into()
        })
    }
}

/// The folders that originals are opened beneath: those that are watched, and for what was imported, all.
pub(super) fn archive(watch: &[String]) -> Archive {
    let resolved = watch.iter().filter_map(|folder| Path::new(folder).canonicalize().ok());
    Archive::new(resolved.chain([PathBuf::from("/")]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_longer_and_longer_prefixes() {
        let prefixes: Vec<&str> = (0..4).map(|depth| prefix("/a/b/c", depth)).collect();
        assert_eq!(prefixes, ["/", "/a/", "/a/b/", "/a/b/c"]);
    }
}
