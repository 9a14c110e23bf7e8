//! Simulates dragging files onto a window, as the source of the XDND protocol (version 5).

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, SelectionNotifyEvent,
    SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::TIMEOUT;
use super::xvfb::Xvfb;

/// A separate connection to the display, with a window to drag from.
pub struct DisplayClient {
    pub(super) connection: RustConnection,
    pub(super) root: Window,
    source: Window,
}

impl DisplayClient {
    pub fn new(display: &Xvfb) -> Self {
        let (connection, screen) = x11rb::connect(Some(display.name())).unwrap();
        let root = connection.setup().roots[screen].root;
        let source = connection.generate_id().unwrap();
        let (class, look) = (WindowClass::INPUT_ONLY, CreateWindowAux::new());
        connection.create_window(0, source, root, 0, 0, 1, 1, 0, class, 0, &look).unwrap().check().unwrap();
        Self { connection, root, source }
    }

    /// Waits for a window with this title; the program must not end meanwhile.
    pub fn wait_for_title(&self, title: &str, program: &mut Child) -> Window {
        let begin = Instant::now();
        while begin.elapsed() < TIMEOUT {
            assert!(program.try_wait().unwrap().is_none(), "the program ended");
            if let Some((window, _)) = self.titles().into_iter().find(|(_, name)| name == title) {
                return window;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no window is titled {title}, but {:?}", self.titles());
    }

    /// Whether a window has this title now.
    pub(super) fn has_title(&self, title: &str) -> bool {
        self.titles().iter().any(|(_, name)| name == title)
    }

    fn titles(&self) -> Vec<(Window, String)> {
        let children = self.connection.query_tree(self.root).unwrap().reply().unwrap().children;
        children.into_iter().map(|window| (window, self.title(window))).collect()
    }

    fn title(&self, window: Window) -> String {
        let (name, kind) = (self.atom("_NET_WM_NAME"), self.atom("UTF8_STRING"));
        // A window may close before it is queried.
        let reply = self.connection.get_property(false, window, name, kind, 0, 1024).unwrap().reply();
        reply.map(|r| String::from_utf8_lossy(&r.value).into_owned()).unwrap_or_default()
    }

    /// Drags files over the window and drops them.
    pub fn drop_on(&self, window: Window, files: &[&Path]) {
        let list = self.atom("text/uri-list");
        let uris: Vec<String> = files.iter().map(|f| format!("file://{}\r\n", f.display())).collect();
        let uris = uris.concat();
        let selection = self.atom("XdndSelection");
        self.connection.set_selection_owner(self.source, selection, x11rb::CURRENT_TIME).unwrap().check().unwrap();
        self.tell(window, "XdndEnter", [5 << 24, list, 0, 0]);
        self.tell(window, "XdndPosition", [0, 0x64_0064, x11rb::CURRENT_TIME, self.atom("XdndActionCopy")]);
        let accepted = self.answer(&uris, "XdndStatus");
        assert_eq!(accepted.data.as_data32()[1] & 1, 1, "the window takes no files");
        self.tell(window, "XdndDrop", [0, x11rb::CURRENT_TIME, 0, 0]);
        self.answer(&uris, "XdndFinished");
    }

    /// Serves the files on request until the window sends `message`; returns whether they were requested.
    fn answer(&self, uris: &str, message: &str) -> ClientMessageEvent {
        let (wanted, begin) = (self.atom(message), Instant::now());
        let mut reply = None;
        while begin.elapsed() < TIMEOUT {
            match self.connection.poll_for_event().unwrap() {
                Some(Event::SelectionRequest(request)) => self.hand_over(&request, uris),
                Some(Event::ClientMessage(event)) if event.type_ == wanted => reply = Some(event),
                Some(_) => {}
                // The window requests the files right before it answers.
                None if reply.is_some() => break,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        // The last request must arrive before the window reads the next message.
        self.connection.sync().unwrap();
        reply.unwrap_or_else(|| panic!("the window never sent {message}"))
    }

    fn hand_over(&self, request: &SelectionRequestEvent, uris: &str) {
        let target = (request.requestor, request.property, request.target);
        let mode = PropMode::REPLACE;
        self.connection.change_property8(mode, target.0, target.1, target.2, uris.as_bytes()).unwrap().check().unwrap();
        let answer = SelectionNotifyEvent {
            response_type: x11rb::protocol::xproto::SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: request.property,
        };
        self.connection.send_event(false, request.requestor, EventMask::NO_EVENT, answer).unwrap().check().unwrap();
        self.connection.flush().unwrap();
    }

    /// Sends a message of the protocol; its first number is always the source's window.
    fn tell(&self, window: Window, message: &str, data: [u32; 4]) {
        let data = [self.source, data[0], data[1], data[2], data[3]];
        let event = ClientMessageEvent::new(32, window, self.atom(message), data);
        self.connection.send_event(false, window, EventMask::NO_EVENT, event).unwrap().check().unwrap();
        self.connection.flush().unwrap();
    }

    fn atom(&self, name: &str) -> Atom {
        let atom = self.connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
        assert_ne!(atom, u32::from(AtomEnum::NONE), "{name}");
        atom
    }
}
