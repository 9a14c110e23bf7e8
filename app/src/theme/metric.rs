//! Spacing, radii and sizes in points, shared by all layouts so that everything lines up.

/// Gaps and paddings.
pub mod space {
    /// Between an icon and its label.
    pub const XS: f32 = 4.0;
    /// Between controls.
    pub const S: f32 = 8.0;
    /// Padding of a panel.
    pub const M: f32 = 12.0;
    /// Between groups.
    pub const L: f32 = 16.0;
    /// Around an empty, loading or error state.
    pub const XL: f32 = 24.0;
}

/// Corner radii.
pub mod radius {
    /// Badges, keycaps, swatches.
    pub const S: u8 = 3;
    /// Controls and rows.
    pub const M: u8 = 5;
    /// Cards, popups, dialogs.
    pub const L: u8 = 8;
}

/// Sizes of recurring elements.
pub mod size {
    /// Height of a list row.
    pub const ROW: f32 = 28.0;
    /// Height of a list row with two lines.
    pub const ROW_TALL: f32 = 44.0;
    /// Height of a row with a label and a value.
    pub const ROW_DENSE: f32 = 22.0;
    /// Height of a button.
    pub const CONTROL: f32 = 28.0;
    /// Height of a row of a form: a label and a field, slider or switch.
    pub const FORM_ROW: f32 = 30.0;
    /// Height of a field in such a row.
    pub const FIELD: f32 = 26.0;
    /// An icon in a control.
    pub const ICON: f32 = 16.0;
    /// An icon beside caption text.
    pub const ICON_SMALL: f32 = 13.0;
    /// Width of the labels in front of fields and sliders.
    pub const LABEL: f32 = 84.0;
    /// Width of the labels in wide rows.
    pub const LABEL_WIDE: f32 = 116.0;
    /// Minimum width of a wide row.
    pub const WIDE_ROW: f32 = 300.0;
    /// Width of a number beside a slider.
    pub const VALUE: f32 = 60.0;
    /// Side of a thumbnail in a list.
    pub const THUMBNAIL: f32 = 44.0;
    /// Width of the left panel.
    pub const LEFT_PANEL: f32 = 220.0;
    /// Width of the right panel.
    pub const RIGHT_PANEL: f32 = 280.0;
    /// Height of the strip below the views.
    pub const STRIP: f32 = 96.0;
    /// Height of the top bar.
    pub const TOP_BAR: f32 = 40.0;
    /// Height of the status line.
    pub const STATUS_LINE: f32 = 24.0;
    /// Width of the focus ring.
    pub const FOCUS_RING: f32 = 1.5;
}
