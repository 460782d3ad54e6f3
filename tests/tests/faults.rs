//! The quick fault matrix holds, and its controls are caught.
