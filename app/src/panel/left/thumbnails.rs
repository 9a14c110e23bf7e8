//! Thumbnail textures of cases and series. Each is uploaded once and freed when its row has long been out of sight.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use egui::{ColorImage, Context, Id, TextureHandle, TextureId, TextureOptions, Vec2, vec2};

use crate::state::Thumbnail;

/// Textures kept before any is freed: several screens of rows.
const KEPT: usize = 256;

struct Entry {
    /// Compared by address; kept alive so that the address is not reused.
    picture: Arc<Thumbnail>,
    texture: TextureHandle,
    /// Frame in which it was last drawn.
    seen: u64,
}

/// Textures of the lists, by an id of the case or series.
#[derive(Clone, Default)]
pub(crate) struct Thumbnails(Arc<Mutex<HashMap<Id, Entry>>>);

impl Thumbnails {
    /// The cache of a window.
    pub(crate) fn of(ctx: &Context) -> Self {
        let id = Id::unique("thumbnails");
        ctx.data_mut(|data| data.get_temp_mut_or_default::<Self>(id).clone())
    }

    /// The texture of a case or series, uploaded if its thumbnail changed, and its size in pixels.
    pub(crate) fn texture(&self, ctx: &Context, of: Id, picture: &Arc<Thumbnail>) -> (TextureId, Vec2) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = ctx.cumulative_frame_nr();
        let known = entries.get_mut(&of).filter(|entry| Arc::ptr_eq(&entry.picture, picture));
        let id = if let Some(entry) = known {
            entry.seen = now;
            entry.texture.id()
        } else {
            let image = ColorImage::from_gray(picture.size, &picture.pixels);
            let texture = ctx.load_texture(format!("thumbnail {of:?}"), image, TextureOptions::LINEAR);
            let id = texture.id();
            if entries.len() >= KEPT {
                entries.retain(|_, entry| entry.seen + 1 >= now);
            }
            entries.insert(of, Entry { picture: Arc::clone(picture), texture, seen: now });
            id
        };
        (id, vec2(picture.size[0] as f32, picture.size[1] as f32))
    }

    /// Number of textures.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(grey: u8) -> Arc<Thumbnail> {
        Arc::new(Thumbnail { size: [2, 1], pixels: vec![grey; 2] })
    }

    #[test]
    fn a_thumbnail_is_uploaded_again_only_when_it_changes() {
        let ctx = Context::default();
        let thumbnails = Thumbnails::of(&ctx);
        let (one, two) = (picture(1), picture(2));
        let first = thumbnails.texture(&ctx, Id::unique(0), &one);
        assert_eq!(first.1, vec2(2.0, 1.0));
        assert_eq!(Thumbnails::of(&ctx).texture(&ctx, Id::unique(0), &one).0, first.0);
        assert_ne!(thumbnails.texture(&ctx, Id::unique(1), &one).0, first.0);
        let replaced = thumbnails.texture(&ctx, Id::unique(0), &two);
        assert_ne!(replaced.0, first.0, "another folder's case at the same place");
        assert_eq!(thumbnails.len(), 2);
    }

    #[test]
    fn old_textures_are_freed() {
        let ctx = Context::default();
        let thumbnails = Thumbnails::of(&ctx);
        for case in 0..3 * KEPT {
            ctx.run_ui(egui::RawInput::default(), |_| ()).drop_without_applying_deltas();
            thumbnails.texture(&ctx, Id::unique(("case", case)), &picture(0));
        }
        assert!(thumbnails.len() <= KEPT);
    }
}
