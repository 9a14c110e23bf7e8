//! Which image lies under which in a pane, and where the labels can go.
//!
//! The shader draws a base, one image over it, and labels on the base's grid. Masks lie on the first image's grid: an
//! image on another grid goes on top of it then, or of an empty base.

use engine::volume::Relation;

use super::scene::{Masks, Scene};
use crate::state::{ImageLayer, PaneId};

/// What a pane draws of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The image, by its place in the case.
    pub image: usize,
    /// How much of it is seen, 0 to 1.
    pub opacity: f64,
    /// What is at or below the window's lower end is left out.
    pub transparent_low: bool,
    /// The second image's colours instead of the first one's.
    pub second: bool,
}

/// The images of a pane, and whether labels can lie on them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stack {
    /// On the grid of the labels, if there are any.
    pub base: Option<Drawn>,
    /// Over it.
    pub over: Option<Drawn>,
    /// False where two images cover a pane and neither lies on the labels' grid.
    pub labels: bool,
}

/// What decides a stack.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The image and whether it lies on the grid of the labels.
    pub first: (usize, bool),
    /// The same of the second image, with its opacity.
    pub second: Option<(usize, bool, f64)>,
    /// There are labels to draw.
    pub labels: bool,
}

/// How the images lie on one another.
pub fn stack(wanted: Wanted) -> Stack {
    let (image, fits) = wanted.first;
    let first = Drawn { image, opacity: 1.0, transparent_low: false, second: false };
    let second = wanted.second.map(|(image, _, opacity)| Drawn {
        image,
        opacity,
        // As in a heat map: where the second image has nothing, the first one is seen as it is.
        transparent_low: true,
        second: true,
    });
    if !wanted.labels || fits {
        return Stack { base: Some(first), over: second, labels: true };
    }
    match (wanted.second, second) {
        (None, _) => Stack { base: None, over: Some(first), labels: true },
        (Some((_, true, opacity)), Some(second)) => {
            // The same mixture from the other side: the second image below, the rest of the first one over it.
            let below = Drawn { opacity: 1.0, transparent_low: false, ..second };
            Stack { base: Some(below), over: Some(Drawn { opacity: 1.0 - opacity, ..first }), labels: true }
        }
        _ => Stack { base: Some(first), over: second, labels: false },
    }
}

impl Scene<'_> {
    /// What a pane wants to draw.
    pub fn wanted(&self, pane: PaneId) -> Wanted {
        let base = &self.document.base().volume.grid;
        let fits = |image: usize| image == 0 || self.layer(image).volume.grid.relation(base) == Relation::Same;
        let image = self.image(pane);
        let second = self.second(pane).map(|i| (i, fits(i), f64::from(self.state.session.view.fused_opacity)));
        Wanted { first: (image, fits(image)), second, labels: !matches!(self.masks, Masks::None) }
    }

    /// The image that a pane shows over its first. Linked panes show one each.
    pub fn second(&self, pane: PaneId) -> Option<usize> {
        let linked = matches!(pane, PaneId::Linked(_));
        let fused = self.state.session.view.fused.filter(|&i| !linked && i != self.image(pane))?;
        let layer: &ImageLayer = self.document.images.get(fused)?;
        (!pane.is_projection() || layer.projection.is_some()).then_some(fused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(image: usize, opacity: f64, second: bool) -> Drawn {
        Drawn { image, opacity, transparent_low: second, second }
    }

    #[test]
    fn images_on_the_labels_grid_are_simply_on_top_of_one_another() {
        let found = stack(Wanted { first: (0, true), second: Some((1, false, 0.4)), labels: true });
        assert_eq!(found, Stack { base: Some(drawn(0, 1.0, false)), over: Some(drawn(1, 0.4, true)), labels: true });
    }

    #[test]
    fn an_image_on_another_grid_lies_over_an_empty_base_that_carries_the_labels() {
        let found = stack(Wanted { first: (1, false), second: None, labels: true });
        assert_eq!(found, Stack { base: None, over: Some(drawn(1, 1.0, false)), labels: true });
        let found = stack(Wanted { first: (1, false), second: None, labels: false });
        assert_eq!(found, Stack { base: Some(drawn(1, 1.0, false)), over: None, labels: true });
    }

    #[test]
    fn the_second_image_goes_below_where_only_it_can_carry_the_labels() {
        let found = stack(Wanted { first: (1, false), second: Some((0, true, 0.25)), labels: true });
        let below = Drawn { transparent_low: false, ..drawn(0, 1.0, true) };
        assert_eq!(found, Stack { base: Some(below), over: Some(drawn(1, 0.75, false)), labels: true });
    }

    #[test]
    fn where_nothing_can_carry_them_labels_are_left_out() {
        let found = stack(Wanted { first: (1, false), second: Some((2, false, 0.5)), labels: true });
        assert!(!found.labels);
        assert_eq!(found.base, Some(drawn(1, 1.0, false)));
    }
}
