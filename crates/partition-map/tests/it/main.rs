//! Maps in what shows them: a browser.

mod browser;
