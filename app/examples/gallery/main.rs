//! All widgets in one window, in both themes: `cargo run -p app --example gallery`.

mod show;

use amlp_viewer::theme::{self, Theme};

struct Gallery(show::Gallery);

impl eframe::App for Gallery {
    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        self.0.show(ui);
    }
}

fn main() -> eframe::Result {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default().with_inner_size([1280.0, 800.0]),
        ..eframe::NativeOptions::default()
    };
    eframe::run_native(
        "Gallery",
        options,
        Box::new(|creation| {
            theme::install(&creation.egui_ctx, Theme::Dark);
            Ok(Box::new(Gallery(show::Gallery::new(show::Page::Workspace, false))))
        }),
    )
}
