// Values and calls between two C++ processes: the tests, and the answer that they call.
//
// A value crosses as its bytes behind the name of its type, and only values of the standard library's own types are copied. An
// object of the answer's own class stays where it is, and a function too: what crosses is a number, and the other side has a
// stand-in whose calls travel back.
#pragma once

#include <any>
#include <array>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace reflection_trl {

[[noreturn]] inline void gone(int code) { ::_exit(code); }

struct Message {
    ::std::string data;
    ::std::size_t place = 0;
    int code;  // what a process ends with whose other side is gone, or sends nonsense

    explicit Message(int code) : code(code) {}

    void put(const void *bytes, ::std::size_t size) { data.append(static_cast<const char *>(bytes), size); }

    void get(void *bytes, ::std::size_t size) {
        if (size > data.size() - place) gone(code);
        ::std::memcpy(bytes, data.data() + place, size);
        place += size;
    }

    template <class T> void put_raw(const T &value) { put(&value, sizeof value); }

    template <class T> T get_raw() {
        T value;
        get(&value, sizeof value);
        return value;
    }

    // At least one byte for each element
    ::std::size_t get_size() {
        auto size = get_raw<::std::uint64_t>();
        if (size > data.size() - place) gone(code);
        return size;
    }

    void put_text(const ::std::string &text) {
        put_raw<::std::uint64_t>(text.size());
        put(text.data(), text.size());
    }

    ::std::string get_text() {
        ::std::string text(get_size(), '\0');
        get(&text[0], text.size());
        return text;
    }

    void send() {
        ::std::uint64_t size = data.size();
        write_all(&size, sizeof size);
        write_all(data.data(), data.size());
    }

    void receive() {
        ::std::uint64_t size;
        read_all(&size, sizeof size);
        if (size > (::std::uint64_t(1) << 31)) gone(code);
        data.resize(size);
        place = 0;
        read_all(&data[0], size);
    }

  private:
    void write_all(const void *bytes, ::std::size_t size) {
        for (auto from = static_cast<const char *>(bytes); size;) {
            auto count = ::write(4, from, size);
            if (count <= 0) gone(code);
            from += count, size -= count;
        }
    }

    void read_all(void *bytes, ::std::size_t size) {
        for (auto to = static_cast<char *>(bytes); size;) {
            auto count = ::read(3, to, size);
            if (count <= 0) gone(code);
            to += count, size -= count;
        }
    }
};

// What the answer's own classes are is said for each answer
template <class T> struct Own {
    static constexpr bool value = false;
};
template <class T> constexpr bool own = Own<::std::remove_cv_t<T>>::value;

// A new object of the answer, of which only the number crosses
template <class T> struct New {
    long number;
};

template <class T, class = void> struct Wire {
    static_assert(sizeof(T) == 0, "only values of the standard library's types cross between the answer and its tests");
};

template <class T> struct Wire<T, ::std::enable_if_t<::std::is_enum_v<T>>> {
    static void put(Message &message, T value) { message.put_raw(value); }
    static T get(Message &message) { return message.get_raw<T>(); }
};

template <class T> struct Wire<New<T>> {
    static void put(Message &message, New<T> value) { message.put_raw(value); }
    static New<T> get(Message &message) { return message.get_raw<New<T>>(); }
};

template <class T> struct Wire<::std::unique_ptr<T>, ::std::enable_if_t<!own<T>>> {
    static void put(Message &message, const ::std::unique_ptr<T> &value) {
        message.put_raw<char>(value != nullptr);
        if (value) Wire<T>::put(message, *value);
    }
    static ::std::unique_ptr<T> get(Message &message) {
        return message.get_raw<char>() ? ::std::make_unique<T>(Wire<T>::get(message)) : nullptr;
    }
};

template <class T> struct Wire<T, ::std::enable_if_t<::std::is_arithmetic_v<T>>> {
    static void put(Message &message, T value) { message.put_raw(value); }
    static T get(Message &message) {
        if constexpr (::std::is_same_v<T, bool>) return message.get_raw<unsigned char>() != 0;
        else return message.get_raw<T>();
    }
};

template <> struct Wire<::std::string> {
    static void put(Message &message, const ::std::string &value) { message.put_text(value); }
    static ::std::string get(Message &message) { return message.get_text(); }
};

template <> struct Wire<::std::wstring> {
    static void put(Message &message, const ::std::wstring &value) {
        message.put_text(::std::string(reinterpret_cast<const char *>(value.data()), value.size() * sizeof(wchar_t)));
    }
    static ::std::wstring get(Message &message) {
        auto text = message.get_text();
        ::std::wstring value(text.size() / sizeof(wchar_t), L'\0');
        ::std::memcpy(&value[0], text.data(), value.size() * sizeof(wchar_t));
        return value;
    }
};

// Text of C: it lives as long as the process
template <> struct Wire<const char *> {
    static void put(Message &message, const char *value) { message.put_text(value ? value : ""); }
    static const char *get(Message &message) { return ::strdup(message.get_text().c_str()); }
};

template <> struct Wire<::std::string_view> {
    static void put(Message &message, ::std::string_view value) { message.put_text(::std::string(value)); }
    static ::std::string_view get(Message &message) { return *new ::std::string(message.get_text()); }  // what it views stays
};

template <> struct Wire<char *> {
    static void put(Message &message, const char *value) { message.put_text(value ? value : ""); }
    static char *get(Message &message) {
        auto text = message.get_text();
        auto copy = static_cast<char *>(::std::calloc(::std::max<::std::size_t>(text.size() + 1, 1 << 14), 1));  // a function may write more
        ::std::memcpy(copy, text.data(), text.size());
        return copy;
    }
};

template <> struct Wire<::std::monostate> {
    static void put(Message &, ::std::monostate) {}
    static ::std::monostate get(Message &) { return {}; }
};

template <> struct Wire<::std::nullopt_t> {
    static void put(Message &, ::std::nullopt_t) {}
    static ::std::nullopt_t get(Message &) { return ::std::nullopt; }
};

template <class T> struct Wire<::std::complex<T>> {
    static void put(Message &message, const ::std::complex<T> &value) { message.put_raw(value); }
    static ::std::complex<T> get(Message &message) { return message.get_raw<::std::complex<T>>(); }
};

template <class A, class B> struct Wire<::std::pair<A, B>> {
    using Pair = ::std::pair<A, B>;
    static void put(Message &message, const Pair &value) {
        Wire<::std::remove_cv_t<A>>::put(message, value.first);
        Wire<B>::put(message, value.second);
    }
    static Pair get(Message &message) {
        auto first = Wire<::std::remove_cv_t<A>>::get(message);
        return Pair(::std::move(first), Wire<B>::get(message));
    }
};

template <class... T> struct Wire<::std::tuple<T...>> {
    static void put(Message &message, const ::std::tuple<T...> &value) {
        ::std::apply([&](const T &...one) { (Wire<T>::put(message, one), ...); }, value);
    }
    static ::std::tuple<T...> get(Message &message) { return ::std::tuple<T...>{Wire<T>::get(message)...}; }
};

template <class T> struct Wire<::std::optional<T>> {
    static void put(Message &message, const ::std::optional<T> &value) {
        message.put_raw<char>(value.has_value());
        if (value) Wire<T>::put(message, *value);
    }
    static ::std::optional<T> get(Message &message) {
        if (!message.get_raw<char>()) return ::std::nullopt;
        return Wire<T>::get(message);
    }
};

template <class... T> struct Wire<::std::variant<T...>> {
    using Variant = ::std::variant<T...>;
    static void put(Message &message, const Variant &value) {
        message.put_raw<::std::uint64_t>(value.index());
        ::std::visit([&](const auto &one) { Wire<::std::decay_t<decltype(one)>>::put(message, one); }, value);
    }
    template <::std::size_t N> static Variant get_at(Message &message, ::std::size_t index) {
        if constexpr (N < sizeof...(T)) {
            if (index != N) return get_at<N + 1>(message, index);
            return Variant(::std::in_place_index<N>, Wire<::std::variant_alternative_t<N, Variant>>::get(message));
        } else {
            gone(message.code);
        }
    }
    static Variant get(Message &message) { return get_at<0>(message, message.get_raw<::std::uint64_t>()); }
};

template <class T, ::std::size_t N> struct Wire<::std::array<T, N>> {
    static void put(Message &message, const ::std::array<T, N> &value) {
        for (const auto &one : value) Wire<T>::put(message, one);
    }
    static ::std::array<T, N> get(Message &message) {
        ::std::array<T, N> value;
        for (auto &one : value) one = Wire<T>::get(message);
        return value;
    }
};

template <class C> struct Elements {
    using Element = typename C::value_type;
    static void put(Message &message, const C &value) {
        message.put_raw<::std::uint64_t>(value.size());
        for (const auto &one : value) Wire<Element>::put(message, one);
    }
    static C get(Message &message) {
        C value;
        for (auto size = message.get_size(); size; --size) value.insert(value.end(), Wire<Element>::get(message));
        return value;
    }
};

template <class... T> struct Wire<::std::vector<T...>> : Elements<::std::vector<T...>> {};
template <class... T> struct Wire<::std::deque<T...>> : Elements<::std::deque<T...>> {};
template <class... T> struct Wire<::std::list<T...>> : Elements<::std::list<T...>> {};

// A container finds by its comparison, which is part of its type: with `equal_to`, a set claims to contain every other number
template <class K, class C>
constexpr bool orders = ::std::is_same_v<C, ::std::less<K>> || ::std::is_same_v<C, ::std::greater<K>> || ::std::is_same_v<C, ::std::less<>>
    || ::std::is_same_v<C, ::std::greater<>>;
template <class C, class K, class O> struct Ordered : Elements<C> {
    static_assert(orders<K, O>, "only containers that are ordered by `less` or `greater` cross between the answer and its tests");
};
template <class C, class K, class H, class E> struct Hashed : Elements<C> {
    static_assert(::std::is_same_v<H, ::std::hash<K>> && ::std::is_same_v<E, ::std::equal_to<K>>,
                  "only containers with the library's hash and comparison cross between the answer and its tests");
};
template <class K, class O, class A> struct Wire<::std::set<K, O, A>> : Ordered<::std::set<K, O, A>, K, O> {};
template <class K, class O, class A> struct Wire<::std::multiset<K, O, A>> : Ordered<::std::multiset<K, O, A>, K, O> {};
template <class K, class V, class O, class A> struct Wire<::std::map<K, V, O, A>> : Ordered<::std::map<K, V, O, A>, K, O> {};
template <class K, class V, class O, class A> struct Wire<::std::multimap<K, V, O, A>> : Ordered<::std::multimap<K, V, O, A>, K, O> {};
template <class K, class H, class E, class A>
struct Wire<::std::unordered_set<K, H, E, A>> : Hashed<::std::unordered_set<K, H, E, A>, K, H, E> {};
template <class K, class V, class H, class E, class A>
struct Wire<::std::unordered_map<K, V, H, E, A>> : Hashed<::std::unordered_map<K, V, H, E, A>, K, H, E> {};

// Queues and stacks: the container inside
template <class C> struct Inside : C {
    static const typename C::container_type &of(const C &value) { return value.*(&Inside::c); }
    static typename C::container_type &of(C &value) { return value.*(&Inside::c); }
};
template <class C> struct Adapted {
    static void put(Message &message, const C &value) { Wire<typename C::container_type>::put(message, Inside<C>::of(value)); }
    static C get(Message &message) {
        C value;
        for (auto &one : Wire<typename C::container_type>::get(message)) value.push(::std::move(one));
        return value;
    }
};
template <class T, class C> struct Wire<::std::queue<T, C>> : Adapted<::std::queue<T, C>> {};
template <class T, class C> struct Wire<::std::stack<T, C>> : Adapted<::std::stack<T, C>> {};
template <class T, class C, class O> struct Wire<::std::priority_queue<T, C, O>> : Adapted<::std::priority_queue<T, C, O>> {
    static_assert(orders<T, O>, "only containers that are ordered by `less` or `greater` cross between the answer and its tests");
};

template <> struct Wire<::std::any> {
    template <class T> static bool put_as(Message &message, const ::std::any &value) {
        if (value.type() != typeid(T)) return false;
        message.put_text(typeid(T).name());
        Wire<T>::put(message, *::std::any_cast<T>(&value));
        return true;
    }
    template <class T> static bool get_as(Message &message, const ::std::string &name, ::std::any &value) {
        if (name != typeid(T).name()) return false;
        value = Wire<T>::get(message);
        return true;
    }
    template <class... T> struct Types {
        static bool put(Message &message, const ::std::any &value) { return (put_as<T>(message, value) || ...); }
        static bool get(Message &message, const ::std::string &name, ::std::any &value) {
            return (get_as<T>(message, name, value) || ...);
        }
    };
    using Known = Types<int, long, long long, unsigned, unsigned long, float, double, bool, char, const char *, ::std::string,
                        ::std::vector<int>, ::std::vector<long>, ::std::vector<double>, ::std::vector<::std::string>,
                        ::std::map<long, long>, ::std::map<int, int>, ::std::map<::std::string, ::std::string>>;
    static void put(Message &message, const ::std::any &value) {
        if (!value.has_value() || !Known::put(message, value)) message.put_text("");
    }
    static ::std::any get(Message &message) {
        ::std::any value;
        Known::get(message, message.get_text(), value);
        return value;
    }
};

template <class T> void put_value(Message &message, const T &value) {
    message.put_text(typeid(T).name());
    Wire<T>::put(message, value);
}

template <class T> T get_value(Message &message) {
    if (message.get_text() != typeid(T).name()) gone(message.code);
    return Wire<T>::get(message);
}

template <class T> void get_into(Message &message, T &value) {
    if constexpr (::std::is_const_v<T>) get_value<::std::remove_const_t<T>>(message);
    else value = get_value<T>(message);
}

template <class P> using Value = ::std::remove_cv_t<::std::remove_reference_t<P>>;

// A parameter that the call may change
template <class P> constexpr bool changes = ::std::is_lvalue_reference_v<P> && !::std::is_const_v<::std::remove_reference_t<P>>;

// A pointer to elements of data, such as an array of C decays to
template <class P, class T = ::std::remove_pointer_t<Value<P>>>
constexpr bool elements = ::std::is_pointer_v<Value<P>> && !own<T> && !::std::is_same_v<::std::remove_cv_t<T>, char>
    && !::std::is_void_v<T> && !::std::is_pointer_v<T> && !::std::is_function_v<T>;

// An element of an array, which may be an array
template <class T> struct Items {
    static void put(Message &message, const T &value) { Wire<T>::put(message, value); }
    static void get(Message &message, T &value) { value = Wire<T>::get(message); }
};
template <class T, ::std::size_t N> struct Items<T[N]> {
    static void put(Message &message, const T (&values)[N]) {
        for (auto &one : values) Items<::std::remove_cv_t<T>>::put(message, one);
    }
    static void get(Message &message, T (&values)[N]) {
        for (auto &one : values) Items<T>::get(message, one);
    }
};

// Calls, in both directions

enum Kind : char { FAILED, RETURNED, INVOKED };

[[noreturn]] void throw_again(Message &message);
void report_thrown(Message &reply);

// Runs a function of this side for the other: reads its arguments from the first message, and puts the result into the second
using Function = ::std::function<void(Message &, Message &)>;

// Functions of this side that the other may call, by number
inline ::std::vector<Function> &functions() {
    static ::std::vector<Function> all;
    return all;
}

inline void begin(Message &message, int function, bool guarded) {
    message.put_raw(INVOKED);
    message.put_raw(function);
    message.put_raw<char>(guarded);
}

// Does what the other side asks for, and answers
inline void respond(Message &message) {
    Message reply(message.code);
    auto number = message.get_raw<int>();
    if (number < 0 || ::std::size_t(number) >= functions().size()) gone(message.code);
    auto function = functions()[number];
    reply.put_raw(RETURNED);
    if (message.get_raw<char>()) {  // who calls catches what is thrown
        try {
            function(message, reply);
        } catch (...) {
            reply = Message(message.code);
            reply.put_raw(FAILED);
            report_thrown(reply);
        }
    } else {
        function(message, reply);
    }
    reply.send();
}

// Sends a call and leaves the result in the message, when all has been done that the other side asks for meanwhile
inline void converse(Message &message) {
    message.send();
    for (;;) {
        Message reply(message.code);
        reply.receive();
        auto kind = reply.get_raw<Kind>();
        if (kind == FAILED) throw_again(reply);
        if (kind == RETURNED) return void(message = ::std::move(reply));
        if (kind != INVOKED) gone(message.code);
        respond(reply);
    }
}

// A function crosses as a number; the other side gets one that calls it
template <class R, class... A> struct Wire<::std::function<R(A...)>> {
    static void put(Message &message, const ::std::function<R(A...)> &value) {
        message.put_raw<int>(value ? functions().size() : -1);
        if (!value) return;
        functions().push_back([value](Message &call, Message &reply) {
            ::std::tuple<Value<A>...> values{get_value<Value<A>>(call)...};
            if constexpr (::std::is_void_v<R>) ::std::apply([&](auto &...one) { value(static_cast<A>(one)...); }, values);
            else put_value<Value<R>>(reply, ::std::apply([&](auto &...one) -> R { return value(static_cast<A>(one)...); }, values));
        });
    }
    static ::std::function<R(A...)> get(Message &message) {
        auto number = message.get_raw<int>();
        if (number < 0) return nullptr;
        return [number, code = message.code](A... values) -> R {
            Message call(code);
            begin(call, number, true);
            (put_value<Value<A>>(call, values), ...);
            converse(call);
            if constexpr (!::std::is_void_v<R>) return get_value<Value<R>>(call);
        };
    }
};

// A pointer to a function has no place for a number: it is one of a few functions that have one
template <class R, class... A> struct Wire<R (*)(A...)> {
    using Any = ::std::function<R(A...)>;
    static constexpr int SLOTS = 16;
    static inline Any slots[SLOTS];
    static inline int next = 0;
    template <int N> static R slot(A... values) { return slots[N](static_cast<A>(values)...); }
    template <int... N> static R (*pick(int place, ::std::integer_sequence<int, N...>))(A...) {
        R (*all[])(A...) = {&slot<N>...};
        return all[place];
    }
    static void put(Message &message, R (*value)(A...)) { Wire<Any>::put(message, value ? Any(value) : Any()); }
    static R (*get(Message &message))(A...) {
        auto function = Wire<Any>::get(message);
        if (!function) return nullptr;
        auto place = next++ % SLOTS;
        slots[place] = function;
        return pick(place, ::std::make_integer_sequence<int, SLOTS>());
    }
};

// What the other side gets of an argument: itself, or a function that has a type to name
template <class T, class = void> struct Crossing {
    using type = T;
};
template <class F> struct Signature;
template <class F, class R, class... A> struct Signature<R (F::*)(A...)> { using type = ::std::function<R(A...)>; };
template <class F, class R, class... A> struct Signature<R (F::*)(A...) const> { using type = ::std::function<R(A...)>; };
template <class F> struct Crossing<F, ::std::void_t<decltype(&F::operator())>> {
    using type = ::std::conditional_t<own<F>, F, typename Signature<decltype(&F::operator())>::type>;
};
template <class R, class... A> struct Crossing<::std::function<R(A...)>> {
    using type = ::std::function<R(A...)>;
};

// The name of a type, as the compiler writes it
template <class T> ::std::string type_name() {
    ::std::string text = __PRETTY_FUNCTION__;
    auto start = text.find("T = ") + 4;
    int depth = 0;
    for (auto place = start; place < text.size(); place++) {
        if (text[place] == '<' || text[place] == '(' || text[place] == '[') depth++;
        if (text[place] == '>' || text[place] == ')') depth--;
        if (depth == 0 && text[place] == ';') return text.substr(start, place - start);
        if (text[place] == ']' && depth-- == 0) return text.substr(start, place - start);
    }
    return text.substr(start);
}

}  // namespace reflection_trl
