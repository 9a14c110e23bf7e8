//! Paints in a real window, kills the program, and checks what the next start restores.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Instant;

use engine::run::journal;
use engine::volume::LabelVolume;
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
    MOTION_NOTIFY_EVENT, Window,
};

use super::drop::DisplayClient;
use super::xvfb::Xvfb;
use super::{TIMEOUT, program};
use crate::common;
use crate::phantom::Files;

/// X11 key symbols.
const ENTER: u32 = 0xff0d;
const CONTROL: u32 = 0xffe3;

impl DisplayClient {
    /// An event as if from a device: the request `FakeInput` of the extension XTEST.
    fn fake(&self, kind: u8, detail: u8, [x, y]: [i16; 2]) {
        const FAKE_INPUT: u8 = 2;
        let extension = self.connection.query_extension(b"XTEST").unwrap().reply().unwrap();
        assert!(extension.present, "the display has no XTEST");
        let mut request = [0_u8; 36];
        (request[0], request[1], request[4], request[5]) = (extension.major_opcode, FAKE_INPUT, kind, detail);
        // Length in units of four bytes.
        request[2..4].copy_from_slice(&9_u16.to_ne_bytes());
        request[12..16].copy_from_slice(&self.root.to_ne_bytes());
        request[24..26].copy_from_slice(&x.to_ne_bytes());
        request[26..28].copy_from_slice(&y.to_ne_bytes());
        let sent = self.connection.send_request_without_reply(&[IoSlice::new(&request)], Vec::new());
        sent.unwrap().check().unwrap();
        // One frame per move, as from a real mouse.
        std::thread::sleep(std::time::Duration::from_millis(40));
    }

    /// Focuses this window once it is mapped; its title exists earlier.
    fn focus(&self, window: Window, child: &mut Child) {
        let set = || self.connection.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME).unwrap();
        until(child, "a window that takes keys", || set().check().ok());
    }

    fn code(&self, key: u32) -> u8 {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let map = self.connection.get_keyboard_mapping(first, last - first + 1).unwrap().reply().unwrap();
        let row = map.keysyms.chunks(usize::from(map.keysyms_per_keycode)).position(|keys| keys.contains(&key));
        first + u8::try_from(row.unwrap()).unwrap()
    }

    /// Presses keys together.
    fn press(&self, keys: &[u32]) {
        keys.iter().for_each(|key| self.fake(KEY_PRESS_EVENT, self.code(*key), [0; 2]));
        keys.iter().rev().for_each(|key| self.fake(KEY_RELEASE_EVENT, self.code(*key), [0; 2]));
    }

    /// Drags with the left button along a path, in pixels of the window.
    fn drag(&self, window: Window, path: &[[i16; 2]]) {
        let at = self.connection.translate_coordinates(window, self.root, 0, 0).unwrap().reply().unwrap();
        let on_screen = |[x, y]: [i16; 2]| [x + at.dst_x, y + at.dst_y];
        self.fake(MOTION_NOTIFY_EVENT, 0, on_screen(path[0]));
        self.fake(BUTTON_PRESS_EVENT, 1, [0; 2]);
        path.iter().for_each(|to| self.fake(MOTION_NOTIFY_EVENT, 0, on_screen(*to)));
        self.fake(BUTTON_RELEASE_EVENT, 1, [0; 2]);
    }
}

/// Retries until it succeeds; the program must not exit meanwhile.
fn until<T>(child: &mut Child, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(child.try_wait().unwrap().is_none(), "the program ended");
        assert!(begin.elapsed() < TIMEOUT, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The journals below a folder.
fn journals(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let inside = |path: PathBuf| if path.is_dir() { journals(&path) } else { vec![path] };
    entries.flat_map(inside).filter(|path| path.extension().is_some_and(|ending| ending == "edits")).collect()
}

#[test]
fn edits_of_a_killed_window_are_restored_by_the_next_one() {
    let Some(display) = Xvfb::start() else { return };
    if common::offscreen().is_none() {
        return;
    }
    let files = Files::new();
    let home = files.folder.path();
    let title = format!("{} - AMLP", files.scan.file_name().unwrap().to_string_lossy().trim_end_matches(".nii.gz"));
    let client = DisplayClient::new(&display);
    let mut child = program(&display, home).arg(&files.scan).arg("--mask").arg(&files.prediction).spawn().unwrap();
    let window = client.wait_for_title(&title, &mut child);
    client.focus(window, &mut child);
    let mut strokes = 0;
    let edits = until(&mut child, "edits on the disk", || {
        client.press(&[u32::from(b'b')]);
        // At a different position each time: a stroke without effect is not an edit.
        let down = 15 * (strokes % 10);
        strokes += 1;
        client.drag(window, &[[400, 120 + down], [430, 130 + down], [450, 140 + down]]);
        let edited = |path: &PathBuf| journal::read(path).is_ok_and(|replay| replay.records.len() >= 2);
        journals(home).into_iter().find(edited)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let labels = journal::read(&edits).unwrap().labels.to_volume();
    let before = std::fs::read(&files.prediction).unwrap();

    let mut child = program(&display, home).spawn().unwrap();
    let window = client.wait_for_title("AMLP", &mut child);
    client.focus(window, &mut child);
    until(&mut child, "the case is open", || {
        // The question's default is to restore.
        client.press(&[ENTER]);
        client.has_title(&title).then_some(())
    });
    until(&mut child, "the restored edits are saved", || {
        client.press(&[CONTROL, u32::from(b's')]);
        LabelVolume::read(&files.prediction).ok().filter(|read| read.data == labels.data)
    });
    until(&mut child, "no journal is left", || journals(home).is_empty().then_some(()));
    assert_eq!(std::fs::read(engine::disk::atomic::previous_path(&files.prediction)).unwrap(), before);
    child.kill().unwrap();
    child.wait().unwrap();
}
