//! Limits of the parameters of operations that hold for every mask and image.

use glam::DVec3;

use super::op::{Brush, LassoAction, Op, Plane};
use crate::{Error, Result};

impl Op {
    /// # Errors
    /// A parameter that is invalid for every mask and image.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Paint { label, brush } => label_above_0(*label).and_then(|()| brush.check()),
            Self::Erase { brush, .. } => brush.check(),
            Self::ThresholdPaint { label, brush, min, max } => {
                label_above_0(*label)?;
                brush.check()?;
                range(*min, *max)
            }
            Self::ThresholdGrow { label, min, max, .. } => label_above_0(*label).and_then(|()| range(*min, *max)),
            Self::AdaptivePaint { label, brush, tolerance } => {
                label_above_0(*label)?;
                brush.check()?;
                tolerance.map_or(Ok(()), |tolerance| not_negative("tolerance", tolerance))
            }
            Self::Watershed { label, inside, outside, smooth_mm, .. } => {
                label_above_0(*label)?;
                for (field, strokes) in [("inside", inside), ("outside", outside)] {
                    if strokes.is_empty() {
                        return Err(Error::config(field, "[]", "a watershed needs strokes inside and outside"));
                    }
                    strokes.iter().try_for_each(Brush::check)?;
                }
                smooth_mm.map_or(Ok(()), |mm| not_negative("smooth_mm", mm))
            }
            Self::Fill { plane, .. } => plane.check(),
            Self::FillHoles { label, axis, .. } => {
                label_above_0(*label)?;
                axis.map_or(Ok(()), check_axis)
            }
            Self::Grow { label, mm, .. } | Self::Shrink { label, mm } | Self::Smooth { label, mm, .. } => {
                label_above_0(*label)?;
                positive("mm", *mm)
            }
            Self::Interpolate { label, axis, .. } => label_above_0(*label).and_then(|()| check_axis(*axis)),
            Self::RegionGrow { label, tolerance, max_radius_mm, .. } => {
                label_above_0(*label)?;
                not_negative("tolerance", *tolerance)?;
                max_radius_mm.map_or(Ok(()), |mm| positive("max_radius_mm", mm))
            }
            Self::RemoveComponent { .. } | Self::KeepComponent { .. } | Self::KeepLargest { .. } => Ok(()),
            Self::RemoveSmall { ml, .. } => not_negative("ml", *ml),
            Self::Relabel { from, .. } => match from {
                0 => Err(Error::config("from", 0, "0 is background and cannot be relabelled")),
                _ => Ok(()),
            },
            Self::Boolean { a, b, .. } => label_above_0(*a).and_then(|()| label_above_0(*b)),
            Self::Lasso { label, points_mm, plane, action, .. } => {
                if *action == LassoAction::Fill {
                    label_above_0(label.unwrap_or(0))?;
                }
                if points_mm.len() < 3 {
                    return Err(Error::config("points_mm", points_mm.len(), "a lasso needs at least 3 corners"));
                }
                finite("points_mm", points_mm)?;
                plane.check()
            }
        }
    }
}

impl Brush {
    fn check(&self) -> Result<()> {
        positive("radius_mm", self.radius_mm)?;
        if self.points_mm.is_empty() {
            return Err(Error::config("points_mm", "[]", "a brush needs at least one point"));
        }
        finite("points_mm", &self.points_mm)?;
        self.plane.check()
    }
}

impl Plane {
    fn check(&self) -> Result<()> {
        match *self {
            Self::Axis(axis) => check_axis(axis),
            Self::Named(_) => Ok(()),
            Self::Normal(normal) => {
                let length = DVec3::from_array(normal).length();
                let usable = length.is_finite() && length > 0.0;
                if usable {
                    Ok(())
                } else {
                    Err(Error::config(
                        "plane",
                        format!("{normal:?}"),
                        "the normal must be a finite vector other than zero",
                    ))
                }
            }
        }
    }
}

fn label_above_0(label: u16) -> Result<()> {
    if label > 0 { Ok(()) } else { Err(Error::config("label", 0, "0 is background. Labels are 1 to 65535")) }
}

fn range(min: Option<f64>, max: Option<f64>) -> Result<()> {
    let (low, high) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
    if low <= high {
        Ok(())
    } else {
        Err(Error::config("min", low, format!("the minimum must not exceed the maximum, which is {high}")))
    }
}

fn check_axis(axis: usize) -> Result<()> {
    if axis < 3 { Ok(()) } else { Err(Error::config("axis", axis, "the axis must be 0, 1 or 2")) }
}

fn positive(field: &str, value: f64) -> Result<()> {
    let usable = value.is_finite() && value > 0.0;
    if usable { Ok(()) } else { Err(Error::config(field, value, "the value must be above 0")) }
}

fn not_negative(field: &str, value: f64) -> Result<()> {
    let usable = value.is_finite() && value >= 0.0;
    if usable { Ok(()) } else { Err(Error::config(field, value, "the value must be 0 or more")) }
}

fn finite(field: &str, points: &[[f64; 3]]) -> Result<()> {
    match points.iter().find(|point| point.iter().any(|v| !v.is_finite())) {
        Some(point) => Err(Error::config(field, format!("{point:?}"), "the point must be finite")),
        None => Ok(()),
    }
}
