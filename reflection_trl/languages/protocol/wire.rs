// Values between two Rust processes: the tests, and the answer that they call. Only values of the standard library's types cross.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fs::File;
use std::hash::{BuildHasher, Hash};
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::os::unix::io::FromRawFd;

pub struct Message {
    data: Vec<u8>,
    place: usize,
    // What a process ends with whose other side is gone, or sends nonsense
    code: i32,
}

impl Message {
    pub fn new(code: i32) -> Message {
        Message { data: Vec::new(), place: 0, code }
    }

    pub fn gone(&self) -> ! {
        std::process::exit(self.code)
    }

    pub fn put_bytes(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    pub fn put_size(&mut self, size: usize) {
        self.put_bytes(&(size as u64).to_le_bytes());
    }

    pub fn get_bytes(&mut self, size: usize) -> &[u8] {
        if size > self.data.len() - self.place {
            self.gone();
        }
        self.place += size;
        &self.data[self.place - size..self.place]
    }

    // At least one byte for each element
    pub fn get_size(&mut self) -> usize {
        let size = u64::from_le_bytes(self.get_bytes(8).try_into().unwrap()) as usize;
        if size > self.data.len() - self.place {
            self.gone();
        }
        size
    }

    pub fn send(&mut self) {
        let mut pipe = ManuallyDrop::new(unsafe { File::from_raw_fd(4) });
        let size = (self.data.len() as u64).to_le_bytes();
        if pipe.write_all(&size).and_then(|_| pipe.write_all(&self.data)).is_err() {
            self.gone();
        }
    }

    pub fn receive(&mut self) {
        let mut pipe = ManuallyDrop::new(unsafe { File::from_raw_fd(3) });
        let mut size = [0; 8];
        if pipe.read_exact(&mut size).is_err() || u64::from_le_bytes(size) > 1 << 31 {
            self.gone();
        }
        self.place = 0;
        self.data = vec![0; u64::from_le_bytes(size) as usize];
        if pipe.read_exact(&mut self.data).is_err() {
            self.gone();
        }
    }
}

pub trait Put {
    fn put(&self, message: &mut Message);
}

pub trait Get: Sized {
    fn get(message: &mut Message) -> Self;
}

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Put for $type {
            fn put(&self, message: &mut Message) {
                message.put_bytes(&self.to_le_bytes());
            }
        }
        impl Get for $type {
            fn get(message: &mut Message) -> Self {
                <$type>::from_le_bytes(message.get_bytes(std::mem::size_of::<$type>()).try_into().unwrap())
            }
        }
    )* };
}
numbers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64);

impl Put for bool {
    fn put(&self, message: &mut Message) {
        message.put_bytes(&[*self as u8]);
    }
}
impl Get for bool {
    fn get(message: &mut Message) -> Self {
        message.get_bytes(1)[0] != 0
    }
}

impl Put for char {
    fn put(&self, message: &mut Message) {
        (*self as u32).put(message);
    }
}
impl Get for char {
    fn get(message: &mut Message) -> Self {
        let code = u32::get(message);
        char::from_u32(code).unwrap_or_else(|| message.gone())
    }
}

impl Put for () {
    fn put(&self, _: &mut Message) {}
}
impl Get for () {
    fn get(_: &mut Message) -> Self {}
}

impl Put for str {
    fn put(&self, message: &mut Message) {
        message.put_size(self.len());
        message.put_bytes(self.as_bytes());
    }
}
impl Put for String {
    fn put(&self, message: &mut Message) {
        self.as_str().put(message);
    }
}
impl Get for String {
    fn get(message: &mut Message) -> Self {
        let size = message.get_size();
        let text = String::from_utf8(message.get_bytes(size).to_vec());
        text.unwrap_or_else(|_| message.gone())
    }
}

impl<T: Put + ?Sized> Put for &T {
    fn put(&self, message: &mut Message) {
        (**self).put(message);
    }
}
impl<T: Put + ?Sized> Put for &mut T {
    fn put(&self, message: &mut Message) {
        (**self).put(message);
    }
}
impl<T: Put + ?Sized> Put for Box<T> {
    fn put(&self, message: &mut Message) {
        (**self).put(message);
    }
}
impl<T: Put + ?Sized> Put for std::rc::Rc<T> {
    fn put(&self, message: &mut Message) {
        (**self).put(message);
    }
}
impl Put for dyn std::error::Error {
    fn put(&self, message: &mut Message) {
        self.to_string().put(message);
    }
}
impl Put for dyn std::error::Error + Send + Sync {
    fn put(&self, message: &mut Message) {
        self.to_string().put(message);
    }
}
impl<T: Get> Get for Box<T> {
    fn get(message: &mut Message) -> Self {
        Box::new(T::get(message))
    }
}
impl<T: Put> Put for std::cell::RefCell<T> {
    fn put(&self, message: &mut Message) {
        self.borrow().put(message);
    }
}
impl<T: Get> Get for std::cell::RefCell<T> {
    fn get(message: &mut Message) -> Self {
        std::cell::RefCell::new(T::get(message))
    }
}
impl<T: Put + Copy> Put for std::cell::Cell<T> {
    fn put(&self, message: &mut Message) {
        self.get().put(message);
    }
}
impl<T: Get> Get for std::cell::Cell<T> {
    fn get(message: &mut Message) -> Self {
        std::cell::Cell::new(T::get(message))
    }
}
impl<'a> Put for std::borrow::Cow<'a, str> {
    fn put(&self, message: &mut Message) {
        (**self).put(message);
    }
}
impl<'a> Get for std::borrow::Cow<'a, str> {
    fn get(message: &mut Message) -> Self {
        std::borrow::Cow::Owned(String::get(message))
    }
}
impl<T: Get> Get for std::rc::Rc<T> {
    fn get(message: &mut Message) -> Self {
        std::rc::Rc::new(T::get(message))
    }
}
impl Get for Box<dyn std::error::Error> {
    fn get(message: &mut Message) -> Self {
        String::get(message).into()
    }
}
impl Get for Box<dyn std::error::Error + Send + Sync> {
    fn get(message: &mut Message) -> Self {
        String::get(message).into()
    }
}

// What is borrowed lives as long as the process
impl<'a> Get for &'a str {
    fn get(message: &mut Message) -> Self {
        Box::leak(String::get(message).into_boxed_str())
    }
}
impl<'a, T: Get + 'static> Get for &'a T {
    fn get(message: &mut Message) -> Self {
        Box::leak(Box::new(T::get(message)))
    }
}
impl<'a, T: Get + 'static> Get for &'a mut T {
    fn get(message: &mut Message) -> Self {
        Box::leak(Box::new(T::get(message)))
    }
}
impl<'a, T: Get + 'static> Get for &'a [T] {
    fn get(message: &mut Message) -> Self {
        Box::leak(Vec::<T>::get(message).into_boxed_slice())
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, message: &mut Message) {
        self.is_some().put(message);
        self.iter().for_each(|one| one.put(message));
    }
}
impl<T: Get> Get for Option<T> {
    fn get(message: &mut Message) -> Self {
        if bool::get(message) { Some(T::get(message)) } else { None }
    }
}

impl<T: Put, E: Put> Put for Result<T, E> {
    fn put(&self, message: &mut Message) {
        self.is_ok().put(message);
        match self {
            Ok(one) => one.put(message),
            Err(one) => one.put(message),
        }
    }
}
impl<T: Get, E: Get> Get for Result<T, E> {
    fn get(message: &mut Message) -> Self {
        if bool::get(message) { Ok(T::get(message)) } else { Err(E::get(message)) }
    }
}

impl Put for std::cmp::Ordering {
    fn put(&self, message: &mut Message) {
        (*self as i8).put(message);
    }
}
impl Get for std::cmp::Ordering {
    fn get(message: &mut Message) -> Self {
        i8::get(message).cmp(&0)
    }
}

impl<T: Put> Put for [T] {
    fn put(&self, message: &mut Message) {
        message.put_size(self.len());
        self.iter().for_each(|one| one.put(message));
    }
}
impl<T: Put, const N: usize> Put for [T; N] {
    fn put(&self, message: &mut Message) {
        self.iter().for_each(|one| one.put(message));
    }
}
impl<T: Get, const N: usize> Get for [T; N] {
    fn get(message: &mut Message) -> Self {
        std::array::from_fn(|_| T::get(message))
    }
}

macro_rules! collections {
    ($($name:ident<$($item:ident),+ $(; $hasher:ident)?> where ($($bounds:tt)*) by ($pattern:pat => $($part:expr),+);)*) => { $(
        impl<$($item: Put),+ $(, $hasher)?> Put for $name<$($item),+ $(, $hasher)?> {
            fn put(&self, message: &mut Message) {
                message.put_size(self.len());
                for $pattern in self.iter() {
                    $($part.put(message);)+
                }
            }
        }
        impl<$($item: Get),+ $(, $hasher: BuildHasher + Default)?> Get for $name<$($item),+ $(, $hasher)?> where $($bounds)* {
            fn get(message: &mut Message) -> Self {
                let size = message.get_size();
                (0..size).map(|_| ($($item::get(message)),+)).collect()
            }
        }
    )* };
}
collections! {
    Vec<T> where () by (one => one);
    VecDeque<T> where () by (one => one);
    LinkedList<T> where () by (one => one);
    BTreeSet<T> where (T: Ord) by (one => one);
    BinaryHeap<T> where (T: Ord) by (one => one);
    HashSet<T; S> where (T: Eq + Hash) by (one => one);
    BTreeMap<K, V> where (K: Ord) by ((key, value) => key, value);
    HashMap<K, V; S> where (K: Eq + Hash) by ((key, value) => key, value);
}

macro_rules! tuples {
    ($(($($name:ident $place:tt),+))*) => { $(
        impl<$($name: Put),+> Put for ($($name,)+) {
            fn put(&self, message: &mut Message) {
                $(self.$place.put(message);)+
            }
        }
        impl<$($name: Get),+> Get for ($($name,)+) {
            fn get(message: &mut Message) -> Self {
                ($($name::get(message),)+)
            }
        }
    )* };
}
tuples! {
    (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6) (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

// Calls. Both sides answer what the other asks for while they wait: the tests may pass functions, which the answer calls

pub type Function = fn(&mut Message, &mut Message);
type Lent = *mut dyn FnMut(&mut Message, &mut Message);

const FAILED: u8 = 0;
const RETURNED: u8 = 1;
const INVOKED: u8 = 2;

thread_local! {
    static LENT: std::cell::RefCell<Vec<Lent>> = std::cell::RefCell::new(Vec::new());
    static OBJECTS: std::cell::RefCell<Vec<(*mut (), std::any::TypeId)>> = std::cell::RefCell::new(Vec::new());
}

// The side of the answer. A panic ends it, unless the tests catch panics
pub fn serve(functions: &[Function]) {
    loop {
        let (mut message, mut reply) = (Message::new(0), Message::new(0));
        message.receive();
        let function = functions[usize::get(&mut message)];
        if bool::get(&mut message) {
            let done = std::panic::catch_unwind(|| {
                let (mut message, mut reply) = (message, Message::new(0));
                RETURNED.put(&mut reply);
                function(&mut message, &mut reply);
                reply
            });
            reply = done.unwrap_or_else(|_| {
                let mut failed = Message::new(0);
                FAILED.put(&mut failed);
                failed
            });
        } else {
            RETURNED.put(&mut reply);
            function(&mut message, &mut reply);
        }
        reply.send();
    }
}

// Calls of functions that the tests have passed

pub fn invoke(number: usize) -> Message {
    let mut message = Message::new(0);
    INVOKED.put(&mut message);
    number.put(&mut message);
    message
}

pub fn invoked(mut message: Message) -> Message {
    message.send();
    message.receive();
    message
}

// Values of the answer's own types that stay where they are: the tests have numbers of them

pub fn keep<T: 'static>(value: &T, message: &mut Message) {
    let place = value as *const T as *mut ();
    let number = OBJECTS.with(|objects| {
        let mut objects = objects.borrow_mut();
        objects.push((place, std::any::TypeId::of::<T>()));
        objects.len() - 1
    });
    number.put(message);
}

pub fn object<'a, T: 'static>(message: &mut Message) -> &'a mut T {
    let number = usize::get(message);
    let found = OBJECTS.with(|objects| objects.borrow().get(number).copied());
    match found {
        Some((place, kind)) if kind == std::any::TypeId::of::<T>() => unsafe { &mut *(place as *mut T) },
        _ => message.gone(),
    }
}

macro_rules! kept {
    ($name:ident) => {
        impl reflection_trl_wire::Put for $name {
            fn put(&self, message: &mut reflection_trl_wire::Message) {
                reflection_trl_wire::keep(self, message);
            }
        }
        impl reflection_trl_wire::Get for $name {
            // The tests have given it away: nobody uses the place that it is taken from
            fn get(message: &mut reflection_trl_wire::Message) -> Self {
                unsafe { ::std::ptr::read(reflection_trl_wire::object::<$name>(message)) }
            }
        }
    };
}
pub(crate) use kept;

macro_rules! stand_in {
    ($name:ident) => {
        impl reflection_trl_wire::Put for $name {
            fn put(&self, message: &mut reflection_trl_wire::Message) {
                reflection_trl_wire::Put::put(&self.number, message);
            }
        }
        impl reflection_trl_wire::Get for $name {
            fn get(message: &mut reflection_trl_wire::Message) -> Self {
                $name { number: reflection_trl_wire::Get::get(message) }
            }
        }
    };
}
pub(crate) use stand_in;

// The side of the tests

pub fn begin(function: usize, guarded: bool) -> Message {
    let mut message = Message::new(97);
    function.put(&mut message);
    guarded.put(&mut message);
    message
}

// Functions of the tests that the answer may call until the call has returned

pub fn lent() -> usize {
    LENT.with(|lent| lent.borrow().len())
}

pub fn lend<'a>(function: &'a mut (dyn FnMut(&mut Message, &mut Message) + 'a), message: &mut Message) {
    let function: Lent = unsafe { std::mem::transmute(function) };
    lent().put(message);
    LENT.with(|lent| lent.borrow_mut().push(function));
}

pub fn give_back(count: usize) {
    LENT.with(|lent| lent.borrow_mut().truncate(count));
}

pub fn finish(mut message: Message) -> Message {
    message.send();
    loop {
        message.receive();
        match u8::get(&mut message) {
            RETURNED => return message,
            FAILED => panic!("the answer panicked"),
            INVOKED => {
                let number = usize::get(&mut message);
                let function = LENT.with(|lent| lent.borrow().get(number).copied());
                let mut reply = Message::new(97);
                match function {
                    Some(function) => unsafe { (*function)(&mut message, &mut reply) },
                    None => message.gone(),
                }
                reply.send();
            }
            _ => message.gone(),
        }
    }
}
