//! The voxel-to-world transform: from the sform, else the qform, else the voxel sizes.

use std::path::Path;

use glam::{DAffine3, DMat3, DQuat, DVec3};

use super::header::Header;
use crate::{Error, Result};

/// The header fields that define the geometry. Also used to check a header before it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GeometryFields {
    pub qform_code: i32,
    pub sform_code: i32,
    pub quatern: [f64; 6],
    pub srow: [[f64; 4]; 3],
    pub pixdim: [f64; 8],
    pub xyzt_units: i32,
}

impl From<&Header> for GeometryFields {
    fn from(h: &Header) -> Self {
        Self {
            qform_code: h.qform_code,
            sform_code: h.sform_code,
            quatern: h.quatern,
            srow: h.srow,
            pixdim: h.pixdim,
            xyzt_units: h.xyzt_units,
        }
    }
}

/// A field that makes a form unusable: name, value, reason.
struct BadField(String, String, String);

impl BadField {
    fn new<V: ToString + ?Sized>(field: &str, value: &V, why: &str) -> Self {
        Self(field.to_owned(), value.to_string(), why.to_owned())
    }
}

/// The names of [`GeometryFields::quatern`].
const QUATERN_FIELDS: [&str; 6] = ["quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"];

/// Highest form code of the standard (5 is "other template").
const LAST_CODE: i32 = 5;

impl GeometryFields {
    /// The transform to RAS+ millimetres, and whether the file records its orientation.
    ///
    /// `dims` are the file's dimensions. A missing axis has one voxel and no size.
    pub fn world_from_voxel(&self, path: &Path, dims: &[u64], warnings: &mut Vec<String>) -> Result<(DAffine3, bool)> {
        let mm = self.length_unit_mm(warnings);
        for (name, code) in [("sform_code", self.sform_code), ("qform_code", self.qform_code)] {
            if code > LAST_CODE {
                warnings.push(format!("{name} is {code}, which the standard does not define. The form is used"));
            } else if code < 0 {
                warnings.push(format!("{name} is {code}, treated as not set"));
            }
        }
        let qform = (self.qform_code > 0).then(|| self.qform(dims, mm));
        let sform = (self.sform_code > 0).then(|| self.sform(mm));
        let refuse = |u: BadField| Error::field(path, u.0, u.1, u.2);
        match (sform, qform) {
            (Some(Ok(s)), q) => {
                match q {
                    Some(Ok(q)) if disagree(&s, &q, dims) => {
                        warnings.push("sform and qform disagree. The sform is used".to_owned());
                    }
                    Some(Err(u)) => warnings.push(format!("{} is {}: {}. The sform is used", u.0, u.1, u.2)),
                    _ => {}
                }
                self.compare_pixdim(&s, dims, mm, warnings);
                Ok((s, true))
            }
            (Some(Err(u)), Some(Ok(q))) => {
                warnings.push(format!("{} is {}: {}. The qform is used", u.0, u.1, u.2));
                Ok((q, true))
            }
            (None, Some(Ok(q))) => Ok((q, true)),
            (Some(Err(u)), _) | (None, Some(Err(u))) => Err(refuse(u)),
            (None, None) => {
                let base = self.affine_from_pixdim(dims, mm).map_err(refuse)?;
                warnings.push(
                    "sform_code and qform_code are not set. The orientation is unknown, and only the voxel sizes are used"
                        .to_owned(),
                );
                Ok((base, false))
            }
        }
    }

    /// Length of the stored unit in millimetres.
    pub fn length_unit_mm(&self, warnings: &mut Vec<String>) -> f64 {
        match self.xyzt_units & 7 {
            0 | 2 => 1.0,
            1 => {
                warnings.push("lengths are stored in metres and converted to millimetres".to_owned());
                1e3
            }
            3 => {
                warnings.push("lengths are stored in micrometres and converted to millimetres".to_owned());
                1e-3
            }
            other => {
                warnings.push(format!("xyzt_units has unknown length unit {other}. Millimetres are assumed"));
                1.0
            }
        }
    }

    fn sform(&self, mm: f64) -> Result<DAffine3, BadField> {
        let [x, y, z] = self.srow;
        for (name, row) in [("srow_x", x), ("srow_y", y), ("srow_z", z)] {
            if let Some(bad) = row.iter().find(|v| !v.is_finite()) {
                return Err(BadField::new(name, bad, "must be a finite number"));
            }
        }
        let column = |n: usize| DVec3::new(x[n], y[n], z[n]) * mm;
        let matrix3 = DMat3::from_cols(column(0), column(1), column(2));
        let affine = DAffine3 { matrix3, translation: column(3) };
        check(&affine).map_err(|why| BadField::new("srow", &format!("{:?}", self.srow), why))?;
        Ok(affine)
    }

    fn qform(&self, dims: &[u64], mm: f64) -> Result<DAffine3, BadField> {
        let handedness = match self.pixdim[0] {
            0.0 | 1.0 => 1.0,
            -1.0 => -1.0,
            other => return Err(BadField::new("pixdim[0]", &other, "qfac must be 1 or -1. The handedness is unknown")),
        };
        for (name, value) in QUATERN_FIELDS.iter().zip(self.quatern) {
            if !value.is_finite() {
                return Err(BadField::new(name, &value, "must be a finite number"));
            }
        }
        let [b, c, d, x, y, z] = self.quatern;
        let rest = 1.0 - (b * b + c * c + d * d);
        // The margin covers rounding to 32-bit floats.
        if rest < -1e-5 {
            return Err(BadField::new(
                "quatern",
                &format!("({b}, {c}, {d})"),
                "is not a rotation, because its norm exceeds 1",
            ));
        }
        let turn = DMat3::from_quat(DQuat::from_xyzw(b, c, d, rest.max(0.0).sqrt()).normalize());
        let [sx, sy, sz] = self.sizes(dims)?;
        let matrix3 = turn * DMat3::from_diagonal(DVec3::new(sx, sy, sz * handedness) * mm);
        let affine = DAffine3 { matrix3, translation: DVec3::new(x, y, z) * mm };
        check(&affine).map_err(|why| BadField::new("pixdim", &format!("{:?}", [sx, sy, sz]), why))?;
        Ok(affine)
    }

    /// The transform that nibabel and SPM assume for a file without orientation: x grows towards the left, the volume is
    /// centred at the origin.
    fn affine_from_pixdim(&self, dims: &[u64], mm: f64) -> Result<DAffine3, BadField> {
        let [sx, sy, sz] = self.sizes(dims)?;
        let step = DVec3::new(-sx, sy, sz) * mm;
        let last = DVec3::from_array(std::array::from_fn(|a| dims.get(a).map_or(0.0, |&n| n as f64 - 1.0)));
        let affine = DAffine3 { matrix3: DMat3::from_diagonal(step), translation: -step * last / 2.0 };
        check(&affine).map_err(|why| BadField::new("pixdim", &format!("{:?}", [sx, sy, sz]), why))?;
        Ok(affine)
    }

    fn sizes(&self, dims: &[u64]) -> Result<[f64; 3], BadField> {
        let mut sizes = [1.0; 3];
        for (a, size) in sizes.iter_mut().enumerate() {
            let stored = self.pixdim[a + 1];
            if stored.is_finite() && stored > 0.0 {
                *size = stored;
            } else if dims.get(a).is_some_and(|&n| n > 1) {
                return Err(BadField::new(
                    &format!("pixdim[{}]", a + 1),
                    &stored,
                    "must be positive, because no form gives the voxel size",
                ));
            }
        }
        Ok(sizes)
    }

    /// Warns if `pixdim` contradicts the voxel sizes of the sform in use.
    fn compare_pixdim(&self, used: &DAffine3, dims: &[u64], mm: f64, warnings: &mut Vec<String>) {
        for a in 0..dims.len().min(3) {
            let (stored, size) = (self.pixdim[a + 1], used.matrix3.col(a).length());
            if !stored.is_finite() || stored <= 0.0 {
                warnings.push(format!("pixdim[{}] is {stored}. The sform is used", a + 1));
            } else if (stored * mm - size).abs() > 1e-3 * size {
                warnings.push(format!(
                    "pixdim[{}] is {stored}, but the sform gives {}. The sform is used",
                    a + 1,
                    size / mm
                ));
            }
        }
    }
}

/// Checks that a transform is finite, invertible and of plausible voxel size. The error is the reason.
fn check(affine: &DAffine3) -> Result<(), &'static str> {
    let m = affine.matrix3;
    let sizes = [m.x_axis, m.y_axis, m.z_axis].map(DVec3::length);
    if !sizes.iter().all(|s| s.is_finite()) || !affine.translation.is_finite() {
        return Err("must be finite numbers");
    }
    // No scanner has voxel sizes outside this range, and 32-bit products would underflow or overflow.
    if !sizes.iter().all(|s| (1e-7..1e7).contains(s)) {
        return Err("gives voxel sizes outside 1e-7 to 1e7 mm");
    }
    if m.determinant().abs() < 1e-5 * sizes.iter().product::<f64>() {
        return Err("is singular, because its axes lie in one plane");
    }
    Ok(())
}

/// True if the transforms place any corner more than a quarter of a voxel apart. The tolerance is wide because a
/// quaternion near a half turn is stored coarsely: the far corner of a good file moves by a tenth of a voxel.
fn disagree(s: &DAffine3, q: &DAffine3, dims: &[u64]) -> bool {
    let last: [f64; 3] = std::array::from_fn(|a| dims.get(a).map_or(0.0, |&n| n as f64 - 1.0));
    let finest = (0..3).map(|a| s.matrix3.col(a).length()).fold(f64::INFINITY, f64::min);
    (0..8).any(|c| {
        let corner = DVec3::from_array(std::array::from_fn(|a| if c >> a & 1 == 1 { last[a] } else { 0.0 }));
        s.transform_point3(corner).distance(q.transform_point3(corner)) > 0.25 * finest
    })
}

/// The forms of a grid, for a volume without a header: both forms if the axes are orthogonal, else only the sform, and
/// neither if the grid is the guess for a file without orientation.
pub(super) fn forms_from_grid(grid: &crate::volume::Grid) -> GeometryFields {
    let rows = grid.affine_rows();
    let srow = std::array::from_fn(|r| std::array::from_fn(|c| rows[4 * r + c]));
    let m = grid.world_from_voxel.matrix3;
    let sizes = grid.spacing_mm();
    let columns: [DVec3; 3] = std::array::from_fn(|a| m.col(a) / sizes[a]);
    let orthogonal = (0..3).all(|a| columns[a].dot(columns[(a + 1) % 3]).abs() < 1e-5);
    let qfac = if m.determinant() < 0.0 { -1.0 } else { 1.0 };
    let turn = DQuat::from_mat3(&DMat3::from_cols(columns[0], columns[1], columns[2] * qfac)).normalize();
    let turn = if turn.w < 0.0 { -turn } else { turn };
    let t = grid.world_from_voxel.translation;
    let mut pixdim = [1.0; 8];
    pixdim[0] = qfac;
    pixdim[1..4].copy_from_slice(&sizes);
    let mut forms = GeometryFields {
        qform_code: i32::from(orthogonal),
        sform_code: 1,
        quatern: if orthogonal { [turn.x, turn.y, turn.z, t.x, t.y, t.z] } else { [0.0; 6] },
        srow,
        pixdim,
        xyzt_units: 2,
    };
    if !grid.oriented {
        let dims = grid.shape.map(|n| n as u64);
        let guess = GeometryFields { qform_code: 0, sform_code: 0, ..forms };
        match guess.affine_from_pixdim(&dims, 1.0) {
            Ok(affine) if affine.abs_diff_eq(grid.world_from_voxel, 1e-4) => forms = guess,
            // Codes must be set to keep the position. 2 is "aligned to another scan".
            _ => (forms.sform_code, forms.qform_code) = (2, if orthogonal { 2 } else { 0 }),
        }
    }
    forms
}
