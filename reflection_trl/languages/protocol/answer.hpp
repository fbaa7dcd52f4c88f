// The side of the answer: runs its functions for the tests.
#pragma once

#include <csetjmp>
#include <csignal>
#include <functional>
#include <iostream>
#include <sstream>

#include "wire.hpp"

namespace reflection_trl {

#ifdef REFLECTION_TRL_DATA  // the tests know no class of the answer: a program of data alone compiles sooner

template <class T> long added(T *) { return 0; }
template <class T> long number_of(T *) { return 0; }
template <class T> T *object_at(Message &, long) { return nullptr; }
inline ::std::vector<::std::function<void(Message &)>> &cells() {
    static ::std::vector<::std::function<void(Message &)>> all;
    return all;
}
inline void give_fields(Message &) {}
inline void take_fields(Message &) {}

#else

// Objects of the answer's own classes that the tests have numbers of

struct Object {
    void *place;
    void *(*up)(void *, int);             // as a base class
    void (*put)(void *, Message &);       // its public fields
    void (*get)(void *, Message &);
    ::std::string known;                  // fields as both sides have seen them last
};

inline ::std::vector<Object> &objects() {
    static ::std::vector<Object> all(1);
    return all;
}

inline ::std::unordered_map<void *, ::std::vector<long>> &numbers() {
    static ::std::unordered_map<void *, ::std::vector<long>> all;
    return all;
}

// Those that this call has to do with
inline ::std::vector<long> &touched() {
    static ::std::vector<long> all;
    return all;
}

template <class T> long added(T *object) {
    using Plain = ::std::remove_cv_t<T>;
    auto place = const_cast<Plain *>(object);
    objects().push_back({place, Own<Plain>::up, Own<Plain>::put, Own<Plain>::get, ""});
    long number = objects().size() - 1;
    numbers()[place].push_back(number);
    touched().push_back(number);
    return number;
}

template <class T> long number_of(T *object) {
    using Plain = ::std::remove_cv_t<T>;
    auto place = const_cast<Plain *>(object);
    if (!place) return 0;
    auto &known = numbers()[place];
    for (auto number = known.rbegin(); number != known.rend(); ++number) {
        if (objects()[*number].up(objects()[*number].place, Own<Plain>::kind) != place) continue;
        touched().push_back(*number);
        return *number;
    }
    return added(object);
}

template <class T> T *object_at(Message &message, long number) {
    if (!number) return nullptr;
    if (number < 0 || ::std::size_t(number) >= objects().size()) gone(message.code);
    auto found = objects()[number].up(objects()[number].place, Own<::std::remove_cv_t<T>>::kind);
    if (!found) gone(message.code);
    touched().push_back(number);
    return static_cast<T *>(found);
}

template <class T> struct Wire<T, ::std::enable_if_t<own<T>>> {
    static void put(Message &message, const T &value) { message.put_raw(added(new T(value))); }
    static T get(Message &message) {
        auto found = object_at<T>(message, message.get_raw<long>());
        if (!found) gone(message.code);
        return *found;
    }
};

template <class T> struct Wire<T *, ::std::enable_if_t<own<T>>> {
    static void put(Message &message, T *value) { message.put_raw(number_of(value)); }
    static T *get(Message &message) { return object_at<T>(message, message.get_raw<long>()); }
};

template <class T> struct Wire<::std::unique_ptr<T>, ::std::enable_if_t<own<T>>> {
    static void put(Message &message, const ::std::unique_ptr<T> &value) {
        Wire<T *>::put(message, const_cast<::std::unique_ptr<T> &>(value).release());
    }
    static ::std::unique_ptr<T> get(Message &message) { return ::std::unique_ptr<T>(Wire<T *>::get(message)); }
};

template <class T> struct Wire<::std::shared_ptr<T>, ::std::enable_if_t<own<T>>> {
    static ::std::unordered_map<long, ::std::shared_ptr<T>> &kept() {
        static ::std::unordered_map<long, ::std::shared_ptr<T>> all;
        return all;
    }
    static void put(Message &message, const ::std::shared_ptr<T> &value) {
        auto number = number_of(value.get());
        if (number) kept()[number] = value;
        message.put_raw(number);
    }
    static ::std::shared_ptr<T> get(Message &message) {
        auto number = message.get_raw<long>();
        auto &known = kept()[number];
        if (!known) known.reset(object_at<T>(message, number), [](T *) {});
        return known;
    }
};

// Fields of objects: where the tests have set them, and where the answer has

inline ::sigjmp_buf &unreadable() {
    static ::sigjmp_buf place;
    return place;
}

// Values of the answer that the tests have a reference to, such as `list[0]`
inline ::std::vector<::std::function<void(Message &)>> &cells() {
    static ::std::vector<::std::function<void(Message &)>> all;
    return all;
}

inline void take_fields(Message &message) {
    for (auto left = message.get_size(); left; --left) {
        auto number = message.get_raw<int>();
        if (number < 0 || ::std::size_t(number) >= cells().size()) gone(message.code);
        cells()[number](message);
    }
    for (auto left = message.get_size(); left; --left) {
        auto number = message.get_raw<long>();
        auto text = message.get_text();
        if (number <= 0 || ::std::size_t(number) >= objects().size()) gone(message.code);
        Message fields(message.code);
        fields.data = text;
        objects()[number].get(objects()[number].place, fields);
        objects()[number].known = text;
    }
}

inline void give_fields(Message &message) {
    Message changed(message.code);
    ::std::uint64_t count = 0;
    ::std::vector<bool> done(objects().size());
    struct ::sigaction fault = {}, before[2];
    fault.sa_handler = [](int) { ::siglongjmp(unreadable(), 1); };
    fault.sa_flags = SA_NODEFER;
    ::sigaction(SIGSEGV, &fault, &before[0]);
    ::sigaction(SIGBUS, &fault, &before[1]);
    for (::std::size_t place = 0; place < touched().size(); place++) {  // grows, as fields point to others
        auto number = touched()[place];
        done.resize(objects().size());
        if (done[number]) continue;
        done[number] = true;
        static Message fields(message.code);
        fields = Message(message.code);
        if (::sigsetjmp(unreadable(), 1)) continue;  // it has been deleted
        objects()[number].put(objects()[number].place, fields);
        if (fields.data == objects()[number].known) continue;
        objects()[number].known = fields.data;
        changed.put_raw(number);
        changed.put_text(fields.data);
        count++;
    }
    ::sigaction(SIGSEGV, &before[0], nullptr);
    ::sigaction(SIGBUS, &before[1], nullptr);
    touched().clear();
    message.put_raw(count);
    message.put(changed.data.data(), changed.data.size());
}

#endif

// A parameter, as it is kept during a call

template <class P, class = void> struct Argument {
    Value<P> value;
    explicit Argument(Message &message) : value(get_value<Value<P>>(message)) {}
    P pass() { return static_cast<P &&>(value); }
    void update(Message &reply) {
        if constexpr (changes<P>) put_value(reply, value);
        if constexpr (::std::is_same_v<Value<P>, char *>) put_value(reply, value);
    }
};

template <class P> struct Argument<P, ::std::enable_if_t<own<Value<P>>>> {
    Value<P> *object;
    explicit Argument(Message &message) : object(object_at<Value<P>>(message, message.get_raw<long>())) {
        if (!object) gone(message.code);
    }
    P pass() { return static_cast<::std::conditional_t<::std::is_copy_constructible_v<Value<P>>, P, P &&>>(*object); }
    void update(Message &) {}
};

template <class P> struct Argument<P, ::std::enable_if_t<elements<P>>> {
    using Element = ::std::remove_cv_t<::std::remove_pointer_t<Value<P>>>;
    Element *values = nullptr;
    Value<P> pointer;
    ::std::size_t size;
    explicit Argument(Message &message) : size(message.get_size()) {
        if (message.get_raw<char>()) values = new Element[size + 1]();
        for (::std::size_t place = 0; place < size; place++) Items<Element>::get(message, values[place]);
        pointer = values;
    }
    P pass() { return static_cast<P &&>(pointer); }
    void update(Message &reply) {
        if constexpr (!::std::is_const_v<::std::remove_pointer_t<Value<P>>>)
            for (::std::size_t place = 0; place < size; place++) Items<Element>::put(reply, values[place]);
    }
};

template <class R> void put_result(Message &reply, R &&result) {
    using T = Value<R>;
    if constexpr (::std::is_reference_v<R> && own<T>) {
        reply.put_text(typeid(T).name());
        reply.put_raw(number_of(&result));
    } else if constexpr (own<T>) {
        reply.put_text(typeid(T).name());
        reply.put_raw(added(new T(::std::move(result))));
    } else {
        put_value<T>(reply, result);
        if constexpr (changes<R>) {
            reply.put_raw<int>(cells().size());
            cells().push_back([&result](Message &message) { result = Wire<T>::get(message); });
        }
    }
}

template <class R, class... P> Function bind(R (*function)(P...)) {
    return [function](Message &message, Message &reply) {
        take_fields(message);
        ::std::tuple<Argument<P>...> arguments{Argument<P>(message)...};
        auto invoke = [&](auto &...one) -> R { return function(one.pass()...); };
        auto update = [&](auto &...one) { (one.update(reply), ...); };
        if constexpr (::std::is_void_v<R>) {
            ::std::apply(invoke, arguments);
            ::std::apply(update, arguments);
        } else {
            R result = ::std::apply(invoke, arguments);
            ::std::apply(update, arguments);
            put_result<R>(reply, static_cast<R &&>(result));
        }
        give_fields(reply);
    };
}

template <class R, class... P> Function bind(R (*function)(P...) noexcept) {
    return ::reflection_trl::bind(static_cast<R (*)(P...)>(function));
}

// The result type of a function, which the compilation of the tests reads from the symbols of this program if it is `auto`
template <class F> struct Returned;
template <class R, class... P> struct Returned<R (*)(P...)> {
    using type = R;
};
template <class R, class... P> struct Returned<R (*)(P...) noexcept> {
    using type = R;
};

// An object that is called, such as a lambda
template <class F, class R, class... P> Function bind_object(F &object, R (F::*)(P...) const) {
    static F &kept = object;
    return ::reflection_trl::bind(static_cast<R (*)(P...)>([](P... values) -> R { return kept(static_cast<P &&>(values)...); }));
}

template <class F, class = decltype(&F::operator())> Function bind(F *object) {
    return bind_object(*object, &F::operator());
}

// A lambda that takes whatever it is given, as a function of a certain type
template <class F, class L> struct Typed;
template <class R, class... P, class L> struct Typed<R(P...), L> {
    static inline ::std::optional<L> kept;
    static R call(P... values) { return (*kept)(static_cast<P &&>(values)...); }
};

template <class F, class L> Function function(L lambda) {
    Typed<F, L>::kept.emplace(lambda);
    return ::reflection_trl::bind(&Typed<F, L>::call);
}

template <class T, class F> struct Construct;
template <class T, class... P> struct Construct<T, void(P...)> {
    static New<T> call(P... values) {
        if constexpr (::std::is_abstract_v<T>) return {0};
        else if constexpr (::std::is_constructible_v<T, P...>) return {added(new T(static_cast<P &&>(values)...))};
        else return {added(new T{static_cast<P &&>(values)...})};
    }
};

// What the tests do with any object of the answer

template <class T> New<T> copied(const T &object) {
    if constexpr (::std::is_copy_constructible_v<T>) return {added(new T(object))};
    else return {0};
}

template <class T> void assigned(T &object, T &other) {
    if constexpr (::std::is_copy_assignable_v<T>) object = other;
    else if constexpr (::std::is_move_assignable_v<T>) object = ::std::move(other);
}

template <class T> ::std::string written(const T &object) {
    ::std::ostringstream text;
    text << object;
    return text.str();
}

// An exception of one of the answer's own classes, which are said for each answer
bool report_own(Message &reply);

template <class T> bool report_object(Message &reply, const T &error) {
    if constexpr (::std::is_copy_constructible_v<T>) {
        reply.put_text("own");
        if constexpr (::std::is_base_of_v<::std::exception, T>) reply.put_text(error.what());
        else reply.put_text("");
        reply.put_raw<int>(Own<T>::kind);
        reply.put_raw(added(new T(error)));
        give_fields(reply);
        return true;
    }
    return false;
}

inline void report_thrown(Message &reply) {
    if (report_own(reply)) return;
    auto put = [&](const char *kind, const ::std::string &what) {
        reply.put_text(kind);
        reply.put_text(what);
    };
    try {
        throw;
    } catch (const ::std::out_of_range &error) { put("out_of_range", error.what());
    } catch (const ::std::invalid_argument &error) { put("invalid_argument", error.what());
    } catch (const ::std::domain_error &error) { put("domain_error", error.what());
    } catch (const ::std::length_error &error) { put("length_error", error.what());
    } catch (const ::std::logic_error &error) { put("logic_error", error.what());
    } catch (const ::std::overflow_error &error) { put("overflow_error", error.what());
    } catch (const ::std::underflow_error &error) { put("underflow_error", error.what());
    } catch (const ::std::range_error &error) { put("range_error", error.what());
    } catch (const ::std::runtime_error &error) { put("runtime_error", error.what());
    } catch (const ::std::bad_alloc &error) { put("bad_alloc", error.what());
    } catch (const ::std::exception &error) { put("exception", error.what());
    } catch (const ::std::string &text) { put("string", text);
    } catch (const char *text) { put("text", text);
    } catch (int number) { put("int", ::std::to_string(number));
    } catch (...) { put("exception", "unknown"); }
}

// A function of the tests has thrown
[[noreturn]] inline void throw_again(Message &message) {
    auto kind = message.get_text(), what = message.get_text();
    if (kind == "invalid_argument") throw ::std::invalid_argument(what);
    if (kind == "out_of_range") throw ::std::out_of_range(what);
    throw ::std::runtime_error(what);
}

inline int serve(::std::vector<Function> all) {
    functions() = ::std::move(all);
    for (;;) {
        Message message(0);
        message.receive();
        if (message.get_raw<Kind>() != INVOKED) gone(0);
        respond(message);
        ::std::cout << ::std::flush;
        ::std::fflush(stdout);
    }
}

}  // namespace reflection_trl
