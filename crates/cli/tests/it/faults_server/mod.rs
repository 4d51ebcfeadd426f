//! The crash suite, as far as it is about the server: real processes, and one test for each case, named after what is to
//! come out of it. Where a store alone shows a case, its test lies with the store and bears the case in its name.

mod hub;
mod shim;
mod slow_link;

mod case_01;
mod case_02;
mod case_03;
mod case_04;
mod case_07;
mod case_08;
mod case_09;
mod case_11;
mod case_12;
mod case_33;
