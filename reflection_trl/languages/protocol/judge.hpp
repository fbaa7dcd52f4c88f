// The side of the tests: calls go to the answer's process.
#pragma once

#include <cassert>
#include <iostream>
#include <ostream>

#include "wire.hpp"

namespace reflection_trl {

constexpr int ENDED = 97;

// A stand-in for an object of the answer's own class

struct Existing {};
constexpr Existing EXISTING;

struct Remote;

inline ::std::map<long, Remote *> &live() {
    static auto &all = *new ::std::map<long, Remote *>;
    return all;
}

// Fields of objects that the answer has told and no stand-in has yet
inline ::std::map<long, ::std::string> &pending() {
    static auto &all = *new ::std::map<long, ::std::string>;
    return all;
}

// Its members have names that no class of an answer has
struct Remote {
    long reflection_trl_number = 0;
    ::std::string reflection_trl_known;  // fields as both sides have seen them last

    Remote() = default;
    Remote(const Remote &) = delete;
    Remote &operator=(const Remote &) = delete;
    virtual ~Remote() {
        auto found = live().find(reflection_trl_number);
        if (found != live().end() && found->second == this) live().erase(found);
    }
    // Fields of other stand-ins may point to one that is deleted
    static void operator delete(void *) {}

    virtual void reflection_trl_put(Message &) const {}
    virtual void reflection_trl_get(Message &) {}

    void reflection_trl_adopt(long given) {
        if (given <= 0) gone(ENDED);
        reflection_trl_number = given;
        live()[given] = this;
        reflection_trl_refresh();
    }
    void reflection_trl_take_over(Remote &other) {
        reflection_trl_number = other.reflection_trl_number;
        reflection_trl_known = ::std::move(other.reflection_trl_known);
        other.reflection_trl_number = 0;
        live()[reflection_trl_number] = this;
    }
    void reflection_trl_refresh() {
        auto found = pending().find(reflection_trl_number);
        if (found == pending().end()) return;
        Message fields(ENDED);
        reflection_trl_known = fields.data = ::std::move(found->second);
        pending().erase(found);
        reflection_trl_get(fields);
    }
};

template <class T> T *stand_in(long number) {
    if (!number) return nullptr;
    auto found = live().find(number);
    if (found != live().end()) {
        auto known = dynamic_cast<T *>(found->second);
        return known ? known : (gone(ENDED), nullptr);
    }
    auto made = new ::std::remove_cv_t<T>(EXISTING);
    made->reflection_trl_adopt(number);
    return made;
}

template <class T> struct Wire<T, ::std::enable_if_t<own<T>>> {
    static void put(Message &message, const T &value) { message.put_raw(value.reflection_trl_number); }
    static T get(Message &message) {
        T made(EXISTING);
        made.reflection_trl_adopt(message.get_raw<long>());
        return made;
    }
};

template <class T> struct Wire<T *, ::std::enable_if_t<own<T>>> {
    static void put(Message &message, const T *value) { message.put_raw<long>(value ? value->reflection_trl_number : 0); }
    static T *get(Message &message) { return stand_in<T>(message.get_raw<long>()); }
};

template <class T> struct Wire<::std::unique_ptr<T>, ::std::enable_if_t<own<T>>> {
    static void put(Message &message, const ::std::unique_ptr<T> &value) { Wire<T *>::put(message, value.get()); }
    static ::std::unique_ptr<T> get(Message &message) { return ::std::unique_ptr<T>(Wire<T *>::get(message)); }
};

template <class T> struct Wire<::std::shared_ptr<T>, ::std::enable_if_t<own<T>>> {
    static void put(Message &message, const ::std::shared_ptr<T> &value) { Wire<T *>::put(message, value.get()); }
    static ::std::shared_ptr<T> get(Message &message) { return ::std::shared_ptr<T>(Wire<T *>::get(message), [](T *) {}); }
};

#ifdef REFLECTION_TRL_DATA  // the answer has no classes that the tests know: a program of data alone compiles sooner

inline void give_fields(Message &) {}
inline void take_fields(Message &) {}
template <class T> void add_cell(int, T &) {}

#else

// Values of the answer that the tests have a reference to, such as `list[0]`: the last ones, which they may have changed
inline ::std::deque<::std::function<bool(Message &)>> &cells() {
    static auto &all = *new ::std::deque<::std::function<bool(Message &)>>;
    return all;
}

template <class T> void add_cell(int number, T &value) {
    auto text = [](const T &one) {
        Message message(ENDED);
        Wire<T>::put(message, one);
        return message.data;
    };
    cells().push_back([number, &value, text, known = text(value)](Message &message) mutable {
        auto now = text(value);
        if (now == known) return false;
        known = now;
        message.put_raw(number);
        message.put(now.data(), now.size());
        return true;
    });
    if (cells().size() > 64) cells().pop_front();
}

inline void give_fields(Message &message) {
    Message set(message.code);
    ::std::uint64_t cells_set = 0;
    for (auto &cell : cells()) cells_set += cell(set);
    message.put_raw(cells_set);
    message.put(set.data.data(), set.data.size());
    Message changed(message.code);
    ::std::uint64_t count = 0;
    for (auto [number, object] : live()) {
        Message fields(message.code);
        object->reflection_trl_put(fields);
        if (fields.data == object->reflection_trl_known) continue;
        object->reflection_trl_known = fields.data;
        changed.put_raw(number);
        changed.put_text(fields.data);
        count++;
    }
    message.put_raw(count);
    message.put(changed.data.data(), changed.data.size());
}

inline void take_fields(Message &message) {
    ::std::vector<long> numbers;
    for (auto left = message.get_size(); left; --left) {
        numbers.push_back(message.get_raw<long>());
        pending()[numbers.back()] = message.get_text();
    }
    for (auto number : numbers) {
        auto found = live().find(number);
        if (found != live().end()) found->second->reflection_trl_refresh();
    }
}

#endif

// What the answer has thrown

[[noreturn]] void throw_own(int kind, long number, const ::std::string &what);

[[noreturn]] inline void throw_again(Message &message) {
    auto kind = message.get_text(), what = message.get_text();
    if (kind == "own") {
        auto type = message.get_raw<int>();
        auto number = message.get_raw<long>();
        take_fields(message);
        throw_own(type, number, what);
    }
    if (kind == "out_of_range") throw ::std::out_of_range(what);
    if (kind == "invalid_argument") throw ::std::invalid_argument(what);
    if (kind == "domain_error") throw ::std::domain_error(what);
    if (kind == "length_error") throw ::std::length_error(what);
    if (kind == "logic_error") throw ::std::logic_error(what);
    if (kind == "overflow_error") throw ::std::overflow_error(what);
    if (kind == "underflow_error") throw ::std::underflow_error(what);
    if (kind == "range_error") throw ::std::range_error(what);
    if (kind == "bad_alloc") throw ::std::bad_alloc();
    if (kind == "int") throw ::std::atoi(what.c_str());
    if (kind == "string") throw what;
    if (kind == "text") throw static_cast<const char *>(::strdup(what.c_str()));
    throw ::std::runtime_error(what);
}

// A function of the tests has thrown, which the answer may catch
inline void report_thrown(Message &reply) {
    auto put = [&](const char *kind, const char *what) {
        reply.put_text(kind);
        reply.put_text(what);
    };
    try {
        throw;
    } catch (const ::std::invalid_argument &error) { put("invalid_argument", error.what());
    } catch (const ::std::out_of_range &error) { put("out_of_range", error.what());
    } catch (const ::std::exception &error) { put("exception", error.what());
    } catch (...) { put("exception", "unknown"); }
}

// Templates: the instances that the tests use, which the answer's side is compiled with

inline ::std::string &instances() {
    static auto &all = *new ::std::string;
    return all;
}

inline int &next_instance() {
    static int number = 0;
    return number;
}

template <int F, class... T> struct Instance {
    static inline const int number = [] {
        ::std::string names;
        ((names += (names.empty() ? "" : ", ") + type_name<T>()), ...);
        instances() += "::reflection_trl_entry_" + ::std::to_string(F) + "<" + names + ">(),\n";
        return next_instance()++;
    }();
};

// Sends them, once, where the answer waits for them
struct Hello {
    static inline bool waited = false;
    static void say() {
        if (!waited) return;
        waited = false;
        auto head = ::std::to_string(instances().size()) + "\n" + instances();
        for (auto from = head.data(), end = from + head.size(); from < end;) {
            auto count = ::write(4, from, end - from);
            if (count <= 0) gone(ENDED);
            from += count;
        }
    }
};

// Arguments

template <class T> ::std::size_t as_count(const T &value) {
    if constexpr (::std::is_integral_v<T> && !::std::is_same_v<T, bool> && !::std::is_same_v<T, char>)
        return value > 0 && ::std::uint64_t(value) < (::std::uint64_t(1) << 28) ? ::std::size_t(value) : 0;
    else return 0;
}

template <class T> constexpr bool counts = ::std::is_integral_v<T> && !::std::is_same_v<T, bool> && !::std::is_same_v<T, char>;

// Sizes of the arrays that the tests have passed, by their addresses
inline ::std::map<const void *, ::std::size_t> &extents() {
    static auto &all = *new ::std::map<const void *, ::std::size_t>;
    return all;
}

// A parameter that is a pointer, of which the tests may pass an array: its size is known, whatever the other arguments say
template <class P> struct Array {
    using Element = ::std::remove_pointer_t<P>;
    P place;
    Array(::std::nullptr_t) : place(nullptr) {}
    template <::std::size_t N, class T, class = ::std::enable_if_t<::std::is_convertible_v<T *, P> || ::std::is_same_v<T, const Element>>>
    Array(T (&values)[N]) : place(const_cast<P>(values)) { extents()[place] = N; }
    template <class T, class = ::std::enable_if_t<::std::is_pointer_v<T> && ::std::is_convertible_v<T, P>>>
    Array(const T &pointer) : place(pointer) { extents().erase(place); }
    operator P &&() { return static_cast<P &&>(place); }
};
template <class P>
using Given = ::std::conditional_t<!::std::is_reference_v<P> && (elements<P> || ::std::is_same_v<P, char *>), Array<P>, P>;

// How many elements a pointer points to. By the custom of C the next whole number among the arguments says so, else the one before
template <::std::size_t N, class... V> ::std::size_t count_of(const ::std::tuple<V...> &values) {
    using Pointed = ::std::decay_t<decltype(::std::get<N>(values))>;
    if constexpr (::std::is_pointer_v<Pointed>) {
        auto known = extents().find(::std::get<N>(values));
        if (known != extents().end()) return known->second;
    }
    ::std::size_t before = 1, after = 0;
    bool found = false, earlier = false;
    ::std::size_t place = 0;
    auto look = [&](const auto &value) {
        if constexpr (counts<::std::decay_t<decltype(value)>>) {
            if (place < N) before = as_count(value), earlier = true;
            if (place > N && !found) after = as_count(value), found = true;
        }
        place++;
    };
    ::std::apply([&](const auto &...value) { (look(value), ...); }, values);
    return found ? after : earlier ? before : 1;
}

// The number of elements of an argument that is a pointer. It is taken before the call, which may change the other arguments
template <class P, ::std::size_t N, class... V> ::std::size_t size_of(const ::std::tuple<V...> &values) {
    auto &value = ::std::get<N>(values);
    if constexpr (elements<P>) return value ? count_of<N>(values) : 0;
    else if constexpr (::std::is_same_v<Value<P>, char *>) {
        if (!value) return 0;
        auto known = extents().find(value);
        return known != extents().end() ? known->second : ::std::strlen(value) + 1;
    } else return 0;
}

template <class P, ::std::size_t N, class... V>
void put_argument(Message &message, const ::std::tuple<V...> &values, ::std::size_t size) {
    auto &value = ::std::get<N>(values);
    if constexpr (elements<P>) {
        using Element = ::std::remove_cv_t<::std::remove_pointer_t<Value<P>>>;
        message.put_raw<::std::uint64_t>(size);
        message.put_raw<char>(value != nullptr);
        for (::std::size_t place = 0; place < size; place++) Items<Element>::put(message, value[place]);
    } else if constexpr (own<Value<P>>) {
        message.put_raw(value.reflection_trl_number);
    } else if constexpr (::std::is_same_v<Value<P>, char *>) {
        message.put_text(typeid(char *).name());
        message.put_text(value ? ::std::string(value, ::strnlen(value, size)) : "");
    } else {
        put_value<Value<P>>(message, value);
    }
}

template <class P, ::std::size_t N, class... V>
void update_argument(Message &message, ::std::tuple<V...> &values, ::std::size_t size) {
    auto &value = ::std::get<N>(values);
    if constexpr (elements<P>) {
        using Element = ::std::remove_pointer_t<Value<P>>;
        if constexpr (!::std::is_const_v<Element>)
            for (::std::size_t place = 0; place < size; place++) Items<Element>::get(message, value[place]);
    } else if constexpr (own<Value<P>>) {
    } else if constexpr (changes<P>) {
        value = get_value<Value<P>>(message);
    } else if constexpr (::std::is_same_v<Value<P>, char *>) {
        ::std::string text = get_value<char *>(message);
        if (text.size() < size && text != value) ::std::strcpy(value, text.c_str());
    }
}

template <class R, class... P, ::std::size_t... N>
R call_with(int function, bool guarded, ::std::tuple<P &&...> values, ::std::index_sequence<N...>) {
    Hello::say();
    Message message(ENDED);
    begin(message, function, guarded);
    give_fields(message);
    const ::std::size_t sizes[] = {size_of<P, N>(values)..., 0};
    (put_argument<P, N>(message, values, sizes[N]), ...);
    converse(message);
    (update_argument<P, N>(message, values, sizes[N]), ...);
    if constexpr (::std::is_void_v<R>) {
        take_fields(message);
    } else {
        using T = Value<R>;
        if (message.get_text() != typeid(T).name()) gone(ENDED);
        if constexpr (own<T>) {
            auto number = message.get_raw<long>();
            take_fields(message);
            if constexpr (::std::is_reference_v<R>) {
                auto found = stand_in<T>(number);
                return found ? static_cast<R>(*found) : (gone(ENDED), static_cast<R>(*found));
            } else {
                T made(EXISTING);
                made.reflection_trl_adopt(number);
                return made;
            }
        } else if constexpr (::std::is_reference_v<R>) {
            auto &kept = *new T(Wire<T>::get(message));
            if constexpr (changes<R>) add_cell(message.get_raw<int>(), kept);
            take_fields(message);
            return static_cast<R>(kept);
        } else {
            T result = Wire<T>::get(message);
            take_fields(message);
            return result;
        }
    }
}

// A function of the answer, by its type
template <class F> struct Stub;

template <class R, class... P> struct Stub<R(P...)> {
    template <::std::size_t N> using Parameter = ::std::tuple_element_t<N, ::std::tuple<P...>>;
    using Result = R;
    static R call(int function, bool guarded, P... values) {
        return call_with<R, P...>(function, guarded, ::std::tuple<P &&...>(static_cast<P &&>(values)...), ::std::index_sequence_for<P...>());
    }
};

// Destroyed when `main` returns
struct EndOfChecks {
    const char *mark;
    explicit EndOfChecks(const char *mark) : mark(mark) { Hello::say(); }
    ~EndOfChecks() {
        ::std::cout << ::std::flush;
        ::std::printf("\n%s\n", mark);
        ::std::fflush(stdout);
    }
};

}  // namespace reflection_trl
